export { commandNode } from './command.js';
export { keepContent, missingContents } from './contents.js';
export { outboxOf } from './hand-out.js';
export { moveProject, projectHome } from './move.js';
export { AWAY_MS, BEAT_MS, keepBeat, listNodes } from './node-list.js';
export { recognised } from './node-token.js';
export { joinNode, takeBatch } from './take-in.js';
export { checkAlwaysHere, checkHere, homeElsewhere, toHome, whereIs } from './to-home.js';
