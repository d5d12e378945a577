// Every command, in the order in which help lists them.
import type { Register } from '../session.js';
import { artifacts } from './artifacts.js';
import { batch } from './batch.js';
import { config } from './config.js';
import { demo } from './demo.js';
import { dlq } from './dlq.js';
import { cancel, get, health, list, models, status } from './queries.js';
import { schemas } from './schemas.js';
import { start } from './start.js';
import { submit } from './submit.js';
import { watch } from './watch.js';

export const COMMANDS: readonly Register[] = [
  start,
  submit,
  batch,
  watch,
  get,
  list,
  cancel,
  artifacts,
  status,
  dlq,
  models,
  health,
  demo,
  config,
  schemas,
];
