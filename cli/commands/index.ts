// Every command, in the order in which help lists them.
import type { Register } from '../session.js';
import { alert } from './alert.js';
import { artifacts } from './artifacts.js';
import { attest } from './attest.js';
import { audit } from './audit.js';
import { batch } from './batch.js';
import { cascade } from './cascade.js';
import { config } from './config.js';
import { demo } from './demo.js';
import { dlq } from './dlq.js';
import { impact } from './impact.js';
import { migrate } from './migrate.js';
import { node } from './node.js';
import { nodes } from './nodes.js';
import { project } from './project.js';
import { lineage, provenance } from './provenance.js';
import { cancel, get, health, list, models, status } from './queries.js';
import { quota } from './quota.js';
import { reject } from './reject.js';
import { replay } from './replay.js';
import { rollback } from './rollback.js';
import { schemas } from './schemas.js';
import { sql } from './sql.js';
import { start } from './start.js';
import { stats } from './stats.js';
import { submit } from './submit.js';
import { taint } from './taint.js';
import { views } from './views.js';
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
  provenance,
  lineage,
  impact,
  taint,
  cascade,
  rollback,
  replay,
  project,
  alert,
  reject,
  attest,
  audit,
  sql,
  stats,
  quota,
  dlq,
  models,
  nodes,
  node,
  health,
  views,
  migrate,
  demo,
  config,
  schemas,
];
