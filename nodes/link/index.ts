export { openLine } from './line.js';
export { storeIdOf } from './store-id.js';
export { type Opening, openingOf } from './store-life.js';
export { openUplink, type Uplink, type UplinkOptions, type UplinkState } from './uplink.js';
