// The event in a record of the lifecycle topic, for whoever folds it into something to look at.
//
// X1. Events of deciders are taken out of the log without checking their data again: the live path, which has them in memory, does not check them either, and a
// rebuild must show what was shown. Everybody else's are decoded in full: the deciders may have refused them.
import { type DatsEvent, decodeWritten } from '../../schemas/index.js';
import { eventOf, type Recorded } from '../../streams/index.js';

const DECIDERS = '/deciders/';

/** @throws Fault as `decode` */
export const eventIn = (record: Recorded): DatsEvent =>
  record.event === undefined && record.headers.source?.startsWith(DECIDERS) ? decodeWritten(record.headers, record.value) : eventOf(record);
