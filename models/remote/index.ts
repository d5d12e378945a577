export {
  type Exchange,
  type ExchangeOptions,
  openExchange,
  type RemoteCall,
  type RemoteModel,
  type RemotePart,
  type RemoteWish,
} from './exchange.js';
export { openRemote } from './runner.js';
export type { Words } from './words.js';
