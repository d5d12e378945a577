// The configuration registry: what holds, what held, and changing it while the system runs.
import { z } from 'zod';
import {
  CONFIG_KEY_NAMES,
  type ConfigEntry,
  type ConfigKey,
  type ConfigValue,
  configChangeQuerySchema,
  configDiffSchema,
  configListSchema,
  configPutAnswerSchema,
  configRollbackSchema,
  configValueSchema,
  configVersionsSchema,
  timeoutSignal,
} from '../../schemas/index.js';
import { ANONYMOUS } from '../commands.js';
import { READ_PROBLEMS, STATUS } from '../problem.js';
import type { Services } from '../services.js';
import {
  changeSetting,
  checkedValue,
  differences,
  etagOf,
  expectedIn,
  keyOf,
  optionalExpected,
  settingShown,
  settingsShown,
  valueAt,
  versionsShown,
  warningsOf,
} from '../settings/index.js';
import { type Answer, type Call, json, route } from '../table.js';
import { BODY_PROBLEMS } from './taint.js';
import { requesterOf } from './tasks.js';

const params = z.strictObject({
  key: z
    .string()
    .min(1)
    .max(128)
    .meta({ description: `One of ${CONFIG_KEY_NAMES.join(', ')}.` }),
});
const version = z.coerce.number().int().min(0);
const ETAG = { ETag: 'The version, as If-Match wants it.' } as const;
const KEY_PROBLEMS = ['invalid_parameter', 'config_key_not_found', ...READ_PROBLEMS] as const;
const IF_MATCH = { 'If-Match': 'The version that the change is made from, as ETag says it: `"3"`; or `*`, whatever is there.' } as const;
const CHANGE_PROBLEMS = [
  ...BODY_PROBLEMS,
  'config_key_not_found',
  'precondition_failed',
  'settings_at_core',
  ...READ_PROBLEMS,
  'disk_full',
] as const;

const ENTRY: ConfigEntry = {
  key: 'scheduling',
  description: 'how many tasks of a project run at a time, time limits, attempts, waits',
  version: 3,
  changed_at: '2026-11-27T09:00:00.000Z',
  by: 'alice',
  reason: 'more machines',
  rolled_back_to: null,
  source: 'registry',
  holds: 3,
};
const SCHEDULING = {
  max_running_per_project: 20,
  projects: { website: { max_running: 50 } },
  timeout_s: 600,
  max_attempts: 4,
  backoff_base_ms: 1_000,
  backoff_max_ms: 60_000,
};
const VALUE: ConfigValue = { ...ENTRY, value: SCHEDULING, config_version: '5f2a90c11b7e+4' };

/** Nothing that was written before the question is missing in the answer, whichever gateway is asked. */
const upToDate = async (call: Call, services: Services): Promise<AbortSignal> => {
  const signal = AbortSignal.any([call.signal(), services.closing, timeoutSignal(services.answerMs)]);
  await services.deps.settings.caughtUp(signal);
  return signal;
};

const tagged = (answer: Answer, tag: number | string): Answer => {
  answer.headers['etag'] = etagOf(tag);
  answer.headers['cache-control'] = 'no-cache';
  return answer;
};

const changed = ({ deps: { settings, config } }: Services, key: ConfigKey, isChanged: boolean): Answer => {
  const shown = settingShown(settings, key);
  const warnings = warningsOf(key, settings.current(), config.models);
  return tagged(json(STATUS.ok, { ...shown, changed: isChanged, warnings }), shown.version);
};

const list = route({
  method: 'GET',
  path: '/api/v1/config',
  operationId: 'listConfig',
  tag: 'configuration',
  summary: 'What can be changed while the system runs, and the version that decisions are made under',
  success: [
    {
      status: STATUS.ok,
      description: 'Every key, without its value.',
      schema: configListSchema,
      example: { config_version: VALUE.config_version, changes: 4, keys: [ENTRY] },
      headers: { ETag: 'The version of the whole.' },
    },
  ],
  problems: READ_PROBLEMS,
  handle: async (call, services) => {
    await upToDate(call, services);
    const shown = settingsShown(services.deps.settings);
    return tagged(json(STATUS.ok, shown), shown.config_version);
  },
});

const get = route({
  method: 'GET',
  path: '/api/v1/config/{key}',
  operationId: 'getConfig',
  tag: 'configuration',
  summary: 'A setting, or an earlier version of it',
  description:
    'Version 0 is what servers.yaml says, or what is built in. `holds` is another version only where the newest value does not fit this build.',
  params,
  query: z.strictObject({ version: version.optional().meta({ description: 'Default: the newest.' }) }),
  success: [{ status: STATUS.ok, description: 'The setting.', schema: configValueSchema, example: VALUE, headers: ETAG }],
  problems: [...KEY_PROBLEMS, 'config_version_not_found'],
  handle: async (call, services) => {
    const key = keyOf(call.params.key);
    await upToDate(call, services);
    const shown = settingShown(services.deps.settings, key, call.query.version);
    return tagged(json(STATUS.ok, shown), shown.version);
  },
});

const put = route({
  method: 'PUT',
  path: '/api/v1/config/{key}',
  operationId: 'putConfig',
  tag: 'configuration',
  summary: 'Change a setting',
  description:
    'The body is the whole value; `null` gives the setting back to servers.yaml, or to what is built in. The answer comes when the change is on disk and holds here; every other ' +
    'process has it within a second. What is so already is answered with `changed: false`, so a request whose answer was lost can be sent again.',
  params,
  query: configChangeQuerySchema,
  headers: IF_MATCH,
  body: { schema: z.record(z.string(), z.unknown()).nullable(), example: SCHEDULING },
  success: [
    {
      status: STATUS.ok,
      description: 'It is so.',
      schema: configPutAnswerSchema,
      example: { ...VALUE, changed: true, warnings: [] },
      headers: ETAG,
    },
  ],
  problems: [...CHANGE_PROBLEMS, 'precondition_required'],
  handle: async (call, services) => {
    const key = keyOf(call.params.key);
    const expected = expectedIn(call.header('if-match'));
    const value = checkedValue(key, call.body);
    const { by = ANONYMOUS, reason } = call.query;
    const signal = await upToDate(call, services);
    return changed(
      services,
      key,
      await changeSetting(services, { key, value, expected, by, reason, requester: requesterOf(call) }, signal),
    );
  },
});

const versions = route({
  method: 'GET',
  path: '/api/v1/config/{key}/versions',
  operationId: 'listConfigVersions',
  tag: 'configuration',
  summary: 'Every version of a setting, newest first',
  params,
  success: [
    {
      status: STATUS.ok,
      description: 'The list, down to version 0: what servers.yaml says, or what is built in.',
      schema: configVersionsSchema,
      example: {
        key: 'scheduling',
        versions: [
          {
            version: 3,
            changed_at: ENTRY.changed_at,
            by: 'alice',
            reason: 'more machines',
            rolled_back_to: null,
            source: 'registry' as const,
            fits: true,
          },
        ],
      },
    },
  ],
  problems: KEY_PROBLEMS,
  handle: async (call, services) => {
    const key = keyOf(call.params.key);
    await upToDate(call, services);
    return json(STATUS.ok, versionsShown(services.deps.settings, key));
  },
});

const rollback = route({
  method: 'POST',
  path: '/api/v1/config/{key}/rollback',
  operationId: 'rollbackConfig',
  tag: 'configuration',
  summary: 'Bring back an earlier value, as a new version',
  params,
  headers: IF_MATCH,
  body: { schema: configRollbackSchema, example: { to: 1, reason: 'too many at a time', by: 'alice' } },
  success: [
    {
      status: STATUS.ok,
      description: 'It holds again.',
      schema: configPutAnswerSchema,
      example: { ...VALUE, version: 4, holds: 4, rolled_back_to: 1, changed: true, warnings: [] },
      headers: ETAG,
    },
  ],
  problems: [...CHANGE_PROBLEMS, 'config_version_not_found'],
  handle: async (call, services) => {
    const key = keyOf(call.params.key);
    const expected = optionalExpected(call.header('if-match'));
    const { to, by = ANONYMOUS, reason } = call.body;
    const signal = await upToDate(call, services);
    const { source, value: earlier } = settingShown(services.deps.settings, key, to);
    const value = checkedValue(key, source === 'registry' ? earlier : null);
    const wish = { key, value, expected, by, reason, rolledBackTo: to, requester: requesterOf(call) };
    return changed(services, key, await changeSetting(services, wish, signal));
  },
});

const diff = route({
  method: 'GET',
  path: '/api/v1/config/{key}/diff',
  operationId: 'diffConfig',
  tag: 'configuration',
  summary: 'What two versions of a setting differ in',
  params,
  query: z.strictObject({
    from: version.optional().meta({ description: 'Default: the version before `to`.' }),
    to: version.optional().meta({ description: 'Default: the newest.' }),
  }),
  success: [
    {
      status: STATUS.ok,
      description: 'The differences, place by place.',
      schema: configDiffSchema,
      example: { key: 'scheduling', from: 2, to: 3, changes: [{ pointer: '/max_running_per_project', from: 10, to: 20 }] },
    },
  ],
  problems: [...KEY_PROBLEMS, 'config_version_not_found'],
  handle: async (call, services) => {
    const key = keyOf(call.params.key);
    await upToDate(call, services);
    const { settings } = services.deps;
    const to = call.query.to ?? settingShown(settings, key).version;
    const from = call.query.from ?? Math.max(0, to - 1);
    return json(STATUS.ok, { key, from, to, changes: differences(valueAt(settings, key, from), valueAt(settings, key, to)) });
  },
});

export const configRoutes = [list, get, put, versions, rollback, diff];
