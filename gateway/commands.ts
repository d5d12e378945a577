// From a submission to its event. Pure: what needs I/O (contents, references, limits) is handed in.
import canonicalize from 'canonicalize';
import { isoOf, sha256Of } from '../processors/index.js';
import {
  type ArtifactRef,
  type Content,
  type DataOf,
  dataschemaOf,
  type EventOf,
  type FileContent,
  type StoredTests,
  type SubmitTask,
} from '../schemas/index.js';
import { traceparentOf } from './middleware/correlation.js';
import type { Misfit } from './problem.js';

export const SOURCE = '/gateway';
export const ANONYMOUS = 'anonymous';

/** Who asks, and under which request. */
export interface Requester {
  readonly correlationId: string;
  /** `traceparent` of the span that the request is, or its header as it came; null: each of its tasks begins a trace. */
  readonly traceparent: string | null;
}

/** What a body may not be although its schema allows it. `models`: the ids of servers.yaml. */
export const misfitsOf = (body: SubmitTask, taskId: string, now: number, models: ReadonlySet<string>): readonly Misfit[] => {
  const misfits: Misfit[] = [];
  const { options, files, depends_on } = body;
  if (options.model !== undefined && !models.has(options.model))
    misfits.push({
      path: ['options', 'model'],
      message: `no model "${options.model.slice(0, 80)}" is configured; GET /api/v1/models lists those there are`,
    });
  if (options.deadline !== undefined && Date.parse(options.deadline) <= now)
    misfits.push({ path: ['options', 'deadline'], message: 'is in the past' });
  if (files.length > 1) misfits.push(...pathMisfits(files.map((file) => file.path)));
  const self = depends_on.indexOf(taskId);
  if (self >= 0) misfits.push({ path: ['depends_on', self], message: 'a task cannot depend on itself (circular dependency)' });
  return misfits;
};

export const pathMisfits = (paths: readonly string[]): Misfit[] => {
  const misfits: Misfit[] = [];
  const all = new Set(paths);
  const seen = new Set<string>();
  paths.forEach((path, i) => {
    if (seen.has(path)) misfits.push({ path: ['files', i, 'path'], message: `"${path}" is there twice; each path may be used once` });
    seen.add(path);
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const folder = path.slice(0, slash);
      if (all.has(folder))
        misfits.push({ path: ['files', i, 'path'], message: `"${folder}" is a file of this task, it cannot be a folder as well` });
    }
  });
  return misfits;
};

/** A submission with everything that needed I/O. */
export interface Prepared {
  readonly body: SubmitTask;
  readonly taskId: string;
  readonly eventId: string;
  readonly description: Content;
  readonly files: readonly FileContent[];
  readonly testsCode: Content | undefined;
  readonly inputs: readonly ArtifactRef[];
  readonly dependsOn: readonly string[];
  readonly requester: Requester;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly configVersion: string;
}

export const createdEvent = (prepared: Prepared): EventOf<'dats.task.created'> => {
  const { body, taskId, eventId, requester } = prepared;
  const actor = body.submitted_by ?? ANONYMOUS;
  const data: DataOf<'dats.task.created'> = {
    task_id: taskId,
    description: prepared.description,
    priority: body.priority,
    options: body.options,
    depends_on: [...prepared.dependsOn],
    inputs: [...prepared.inputs],
    files: [...prepared.files],
    submitted_by: actor,
  };
  if (body.tests !== undefined && prepared.testsCode !== undefined) data.tests = { ...body.tests, code: prepared.testsCode };
  return {
    specversion: '1.0',
    id: eventId,
    source: SOURCE,
    type: 'dats.task.created',
    time: isoOf(prepared.now),
    subject: taskId,
    datacontenttype: 'application/json',
    dataschema: CREATED_SCHEMA,
    projectid: body.project_id,
    correlationid: requester.correlationId,
    traceparent: traceparentOf(requester.traceparent, eventId),
    actor,
    configversion: prepared.configVersion,
    data,
  };
};
const CREATED_SCHEMA = dataschemaOf('dats.task.created');

export interface CancelCommand {
  readonly taskId: string;
  readonly projectId: string;
  readonly reason: string;
  readonly by: string;
  readonly eventId: string;
  readonly requester: Requester;
  readonly now: number;
  readonly configVersion: string;
}

export const cancelEvent = (command: CancelCommand): EventOf<'dats.task.cancel.requested'> => ({
  specversion: '1.0',
  id: command.eventId,
  source: SOURCE,
  type: 'dats.task.cancel.requested',
  time: new Date(command.now).toISOString(),
  subject: command.taskId,
  datacontenttype: 'application/json',
  dataschema: dataschemaOf('dats.task.cancel.requested'),
  projectid: command.projectId,
  correlationid: command.requester.correlationId,
  traceparent: traceparentOf(command.requester.traceparent, command.eventId),
  actor: command.by,
  configversion: command.configVersion,
  data: { task_id: command.taskId, reason: command.reason, by: command.by },
});

/**
 * What was asked for, as a digest over canonical JSON: equal for a body and for the event that a body with the same meaning became
 * (defaults filled in, key order and spelling aside). So a repeated Idempotency-Key is compared with the log, without a store of its own.
 */
export const fingerprintOfBody = (body: SubmitTask): string =>
  fingerprint({
    description: sha256Of(body.description),
    priority: body.priority,
    options: body.options,
    depends_on: body.depends_on,
    inputs: body.inputs,
    files: body.files.map((file) => [file.path, sha256Of(file.content)]),
    tests: body.tests === undefined ? null : { ...body.tests, code: sha256Of(body.tests.code) },
  });

export const fingerprintOfCreated = (data: DataOf<'dats.task.created'>): string =>
  fingerprint({
    description: data.description.sha256,
    priority: data.priority,
    options: data.options,
    depends_on: data.depends_on,
    inputs: data.inputs.map((input) => input.artifact_id),
    files: data.files.map((file) => [file.path, file.sha256]),
    tests: data.tests === undefined ? null : withCodeDigest(data.tests),
  });

const withCodeDigest = (tests: StoredTests): unknown => ({ ...tests, code: tests.code.sha256 });
const fingerprint = (statement: unknown): string => sha256Of(canonicalize(statement) ?? '');

/** RFC 8941 string or bare text, 1..255 characters. @returns undefined when it is neither. */
export const idempotencyKeyOf = (header: string): string | undefined => {
  const text = header.trim();
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(text);
  const key = quoted ? quoted[1]!.replace(/\\(["\\])/g, '$1') : text;
  return key.length >= 1 && key.length <= 255 && /^[\x20-\x7e]+$/.test(key) && (quoted !== null || !key.includes('"')) ? key : undefined;
};
