export { changeSetting, checkedValue } from './change.js';
export { differences } from './difference.js';
export { type Expected, etagOf, expectedIn, optionalExpected } from './etag.js';
export { keyOf, settingShown, settingsShown, valueAt, versionsShown } from './shown.js';
export { warningsOf } from './warnings.js';
