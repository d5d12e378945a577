// Health: is the process up, can it take tasks, how is everything it needs.
import { z } from 'zod';
import { refuse, STATUS } from '../problem.js';
import { json, route } from '../table.js';

export const healthSchema = z.object({
  status: z.enum(['ok', 'degraded', 'down']),
  version: z.string(),
  /** What decisions are made under in this process. */
  config_version: z.string(),
  dependencies: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      required: z.boolean(),
      detail: z.string().optional(),
      latency_ms: z.number().optional(),
    }),
  ),
  streams: z.object({ open: z.int() }),
});

const live = route({
  method: 'GET',
  path: '/health/live',
  operationId: 'isLive',
  tag: 'health',
  summary: 'The process answers',
  success: [{ status: STATUS.ok, description: 'It does.', schema: z.object({ status: z.literal('ok'), version: z.string() }) }],
  problems: [],
  handle: (_call, { deps }) => json(STATUS.ok, { status: 'ok', version: deps.version }),
});

const ready = route({
  method: 'GET',
  path: '/health/ready',
  operationId: 'isReady',
  tag: 'health',
  summary: 'It can take tasks',
  success: [{ status: STATUS.ok, description: 'Every required dependency works.', schema: z.object({ status: z.literal('ready') }) }],
  problems: ['not_ready'],
  handle: async (_call, { deps }) => {
    const down = (await deps.health()).filter((one) => one.required && !one.ok);
    if (down.length === 0) return json(STATUS.ok, { status: 'ready' });
    const issues = down.map((one) => ({
      code: 'custom' as const,
      path: [one.name],
      message: one.detail ?? 'does not work',
      input: undefined,
    }));
    throw refuse('not_ready', `down: ${down.map((one) => one.name).join(', ')}`, new z.ZodError(issues));
  },
});

const details = route({
  method: 'GET',
  path: '/health',
  operationId: 'getHealth',
  tag: 'health',
  summary: 'Everything it needs, one by one',
  description: 'Always 200: `degraded` means that something optional is down, `down` that tasks cannot be taken.',
  success: [{ status: STATUS.ok, description: 'The dependencies.', schema: healthSchema }],
  problems: [],
  handle: async (_call, { deps, tail }) => {
    const dependencies = await deps.health();
    const status = dependencies.some((one) => one.required && !one.ok) ? 'down' : dependencies.some((one) => !one.ok) ? 'degraded' : 'ok';
    return json(STATUS.ok, {
      status,
      version: deps.version,
      config_version: deps.settings.current().version,
      dependencies,
      streams: { open: tail.followers() },
    });
  },
});

export const healthRoutes = [live, ready, details];
