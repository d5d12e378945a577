// Examples of cascades and rollbacks for the OpenAPI document; a test holds each against its schema.
import type { z } from 'zod';
import type {
  CascadeAnswer,
  CascadeView,
  Impact,
  ImpactAnswer,
  ProjectState,
  RollbackAnswer,
  RollbackPlan,
  RollbackView,
  rollbackSchema,
  securityAlertSchema,
  TaintAnswer,
  taintSchema,
  Version,
} from '../../schemas/index.js';
import { EXAMPLES } from './examples.js';

const { artifact, task } = EXAMPLES;
const CASCADE = '1d0c8f8e-5c58-5a7a-8f5e-0a4b7c1d2e3f';
const ROLLBACK = '01936b2e-7d40-7000-8000-0000000000a1';
const ALERT = '01936b2e-7d41-7000-8000-0000000000a2';
const BUILT = '7d0e3a52-63f1-5c07-8d0f-93c0f2a5b6d4';
const NEXT_TASK = '01936b2e-7c3b-7d30-9d1c-5f0f3a6f2b12';

const impact: Impact = {
  project_id: 'calculator',
  roots: 1,
  artifacts: 2,
  tasks: 2,
  open_tasks: 0,
  paths: 2,
  depth: 1,
  by_depth: [1, 1],
  by_mark: { clean: 2, suspect: 0, tainted: 0 },
  forecast: { executions: 2, tokens: 1_840, model_ms: 3_100, cost_usd: 0.0021, unpriced: 0 },
  cut: false,
};

const impactAnswer: ImpactAnswer = {
  id: artifact.artifact_id,
  impact,
  nodes: [
    {
      artifact_id: artifact.artifact_id,
      task_id: task.task_id,
      path: 'solution.py',
      depth: 0,
      via: null,
      edge: null,
      mark: 'clean',
      head: true,
      model: 'scripted',
    },
    {
      artifact_id: BUILT,
      task_id: NEXT_TASK,
      path: 'report.py',
      depth: 1,
      via: artifact.artifact_id,
      edge: 'informed',
      mark: 'clean',
      head: true,
      model: 'scripted',
    },
  ],
  truncated: false,
  took_ms: 0.2,
};

const taint: z.input<typeof taintSchema> = { artifact_id: artifact.artifact_id, reason: 'reads a file that it must not read', by: 'alice' };
const taintAnswer: TaintAnswer = {
  dry_run: false,
  recall_id: null,
  cascades: [{ cascade_id: CASCADE, project_id: 'calculator', impact }],
};
const impactOnly: TaintAnswer = {
  dry_run: true,
  recall_id: null,
  cascades: [{ cascade_id: null, project_id: 'calculator', impact }],
};

const cascade: CascadeView = {
  cascade_id: CASCADE,
  project_id: 'calculator',
  recall_id: null,
  state: 'completed',
  trigger: 'request',
  selector: { artifact_id: artifact.artifact_id },
  reason: 'reads a file that it must not read',
  by: 'alice',
  roots: 1,
  reach: { artifacts: 2, tasks: 2, depth: 1 },
  tainted: 1,
  suspect: 0,
  cleared: 1,
  already_tainted: 0,
  remaining: 0,
  depth: 1,
  requested_at: '2026-11-21T10:00:00.000Z',
  completed_at: '2026-11-21T10:00:02.410Z',
  detail: null,
  first_offset: 40,
  last_offset: 46,
};

const cascadeAnswer: CascadeAnswer = {
  ...cascade,
  marks: [
    {
      artifact_id: artifact.artifact_id,
      task_id: task.task_id,
      path: 'solution.py',
      depth: 0,
      state: 'tainted',
      via: null,
      verdict: null,
    },
    {
      artifact_id: BUILT,
      task_id: NEXT_TASK,
      path: 'report.py',
      depth: 1,
      state: 'cleared',
      via: artifact.artifact_id,
      verdict: 'cleared',
    },
  ],
  truncated: false,
};

const version: Version = {
  artifact_id: artifact.artifact_id,
  task_id: task.task_id,
  sha256: artifact.sha256,
  made_at: artifact.created_at,
  mark: 'tainted',
};

const rollback: z.input<typeof rollbackSchema> = { cascade_id: CASCADE, reason: 'back to what was good', by: 'alice' };
const plan: RollbackPlan = {
  project_id: 'calculator',
  target: { kind: 'cascade', cascade_id: CASCADE },
  changes: [{ path: 'solution.py', from: version, to: null }],
  tasks: [{ task_id: task.task_id, state: 'completed', action: 'keep' }],
  config_then: null,
  config_now: 'c0ffee',
};
const rollbackAnswer: RollbackAnswer = { dry_run: false, rollback_id: ROLLBACK, plan };
const planOnly: RollbackAnswer = { dry_run: true, rollback_id: null, plan };

const rollbackView: RollbackView = {
  rollback_id: ROLLBACK,
  project_id: 'calculator',
  state: 'completed',
  target: { kind: 'cascade', cascade_id: CASCADE },
  tasks: 'close',
  reason: 'back to what was good',
  by: 'alice',
  paths: 1,
  affected_tasks: 1,
  reverted: 1,
  restored: 0,
  skipped: 0,
  tasks_closed: 0,
  tasks_requeued: 0,
  config_then: null,
  config_now: 'c0ffee',
  requested_at: '2026-11-21T10:05:00.000Z',
  completed_at: '2026-11-21T10:05:00.020Z',
  detail: null,
  first_offset: 47,
  last_offset: 50,
};

const alert: z.input<typeof securityAlertSchema> = {
  kind: 'secret_leaked',
  severity: 'high',
  artifact_id: artifact.artifact_id,
  detail: 'an API key in line 3',
  by: 'scanner',
};
const alertAnswer = { alert_id: ALERT, project_id: 'calculator', cascade_id: CASCADE };
const reject = { reason: 'it subtracts', by: 'alice' };
const rejectAnswer = { task_id: task.task_id, attempt: 1, cascade_id: CASCADE };

const state: ProjectState = {
  project_id: 'calculator',
  at: '2026-11-21T09:30:00Z',
  position: 'p0-18',
  time: '2026-11-21T09:00:00.450Z',
  config_version: 'c0ffee',
  events: 9,
  files: [{ path: 'solution.py', version: { ...version, mark: 'clean' }, versions: 1 }],
  tasks: [{ task_id: task.task_id, title: task.title, state: 'completed', attempt: 1, flags: [], created_at: task.created_at }],
  counts: { completed: 1 },
};

export const CASCADE_EXAMPLES = {
  impact: impactAnswer,
  taint,
  taintAnswer,
  impactOnly,
  cascade,
  cascadeAnswer,
  rollback,
  rollbackAnswer,
  planOnly,
  rollbackView,
  alert,
  alertAnswer,
  reject,
  rejectAnswer,
  state,
} as const;
