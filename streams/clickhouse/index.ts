export { type ClickhouseOptions, openClickhouse, type ServerOptions } from './client.js';
export { type EmbeddedOptions, socketOf } from './embedded.js';
export { checkReadOnly } from './guard.js';
export { dropAll, type Migrated, type Migration, migrate, readMigrations, statementsOf } from './migrate.js';
