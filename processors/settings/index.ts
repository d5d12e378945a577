export { builtInPrompts } from './built-in.js';
export { type Base, baseValue, changesIn, type Effective, holdingVersion, valueIn } from './effective.js';
export { type Change, newFold, type Registry, take, versionOf } from './fold.js';
export { type ChangeListener, KNOWN_WITHIN_MS, openSettings, outcomeOf, type Settings, type SettingsOptions } from './settings.js';
