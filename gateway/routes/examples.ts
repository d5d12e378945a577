// Examples for the OpenAPI document; a test holds each against its schema.

import type { z } from 'zod';
import type { ArtifactView, acceptedSchema, ProjectStatus, SubmitTask, TaskView } from '../../schemas/index.js';

const TASK = '01936b2e-7c1a-7d30-9d1c-5f0f3a6f2b11';
const ARTIFACT = '5b1f0c62-2f4b-5f0e-9a57-3c8a9a4c7f21';
const DIGEST = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

const submit: Partial<SubmitTask> & { description: string } = {
  description: 'Write a Python function `add(a, b)` that returns the sum of two integers.',
  project_id: 'calculator',
  priority: 'normal',
  options: { qa_profile: 'tests' },
  tests: { language: 'python', code: 'from solution import add\nassert add(1, 2) == 3\n' },
};

const accepted: z.infer<typeof acceptedSchema> = {
  task_id: TASK,
  project_id: 'calculator',
  status: 'pending',
  created_at: '2026-11-21T09:00:00.000Z',
  estimated_completion: '2026-11-21T09:00:20.000Z',
  position: 0,
};

const task: TaskView = {
  task_id: TASK,
  project_id: 'calculator',
  status: 'completed',
  state: 'completed',
  title: 'Write a Python function `add(a, b)` that returns the sum of two integers.',
  priority: 'normal',
  mode: 'new_project',
  domain: 'code',
  tier: 'small',
  complexity: 0.1,
  confidence: 0.9,
  qa_profile: 'tests',
  confidentiality: null,
  attempt: 1,
  model: 'scripted',
  scripted: true,
  submitted_by: 'anonymous',
  correlation_id: '01936b2e-7c19-7000-8000-000000000001',
  created_at: '2026-11-21T09:00:00.000Z',
  started_at: '2026-11-21T09:00:00.010Z',
  completed_at: '2026-11-21T09:00:00.450Z',
  updated_at: '2026-11-21T09:00:00.450Z',
  estimated_completion: '2026-11-21T09:00:20.000Z',
  execution_time_ms: 450,
  artifacts: [{ artifact_id: ARTIFACT, type: 'python', path: 'solution.py', sha256: DIGEST, bytes: 33 }],
  provenance_id: 'a2b8b0c0-58a0-5d4a-8d7e-2f6f1f6d9c11',
  parent_id: null,
  children: [],
  depends_on: [],
  verdict: {
    attempt: 1,
    passed: true,
    profile: 'tests',
    score: 1,
    checks: [{ name: 'tests:python', status: 'passed', duration_ms: 120 }],
    reasons: [],
  },
  error: null,
  waiting_for: null,
  flags: [],
  first_offset: 10,
  last_offset: 18,
};

const artifact: ArtifactView = {
  artifact_id: ARTIFACT,
  task_id: TASK,
  project_id: 'calculator',
  type: 'python',
  path: 'solution.py',
  sha256: DIGEST,
  bytes: 33,
  attempt: 1,
  accepted: true,
  taint: 'clean',
  created_at: '2026-11-21T09:00:00.200Z',
  model: 'scripted',
  provider: 'scripted',
  scripted: true,
  prompt_version: 'generate.1',
  consumed: [],
  at: 15,
};

const project: ProjectStatus = {
  project_id: 'calculator',
  counts: { running: 1, completed: 4 },
  total: 5,
  running: 1,
  queued: 0,
  oldest_open: '2026-11-21T09:00:05.000Z',
  completed_per_minute: 0.4,
  duration_p50_ms: 440,
  duration_p95_ms: 900,
  max_running: 10,
  home: 'local',
};

export const EXAMPLES = { submit, accepted, task, artifact, project } as const;
