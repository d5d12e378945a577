// Artifacts: what a task produced. Metadata from the view; bytes from the event that announced them, or from the store.

import { z } from 'zod';
import { loadText } from '../../processors/index.js';
import { type ArtifactView, artifactViewSchema, Fault, type Language, LIFECYCLE, partitionOf } from '../../schemas/index.js';
import { eventOf } from '../../streams/index.js';
import { READ_PROBLEMS, refuse, STATUS } from '../problem.js';
import { findArtifact } from '../reads.js';
import type { Services } from '../services.js';
import { json, route } from '../table.js';
import { EXAMPLES } from './examples.js';

const params = z.strictObject({ artifact_id: z.string().min(1).max(64) });

const MEDIA: Readonly<Record<Language, string>> = {
  python: 'text/x-python; charset=utf-8',
  typescript: 'text/x-typescript; charset=utf-8',
  javascript: 'text/javascript; charset=utf-8',
  json: 'application/json; charset=utf-8',
  markdown: 'text/markdown; charset=utf-8',
  text: 'text/plain; charset=utf-8',
};

const artifactView = async ({ deps }: Services, id: string): Promise<ArtifactView> => {
  const view = await findArtifact(deps, id);
  if (view === undefined) throw refuse('artifact_not_found', `there is no artifact "${id}"`);
  return view;
};

const textOf = async ({ deps }: Services, view: ArtifactView): Promise<string> => {
  const partition = partitionOf(view.project_id, deps.log.partitions(LIFECYCLE));
  const record = await deps.log.get({ topic: LIFECYCLE, partition, offset: view.at });
  const event = record === undefined ? undefined : eventOf(record);
  const artifact =
    event?.type === 'dats.task.output.created' ? event.data.artifacts.find((one) => one.artifact_id === view.artifact_id) : undefined;
  if (artifact === undefined)
    throw new Fault(
      'terminal',
      'event_missing',
      `the log does not hold the event of artifact ${view.artifact_id} at ${partition}/${view.at}`,
    );
  return loadText(deps.artifacts, artifact);
};

const get = route({
  method: 'GET',
  path: '/api/v1/artifacts/{artifact_id}',
  operationId: 'getArtifact',
  tag: 'artifacts',
  summary: 'An artifact and where it came from',
  params,
  success: [{ status: STATUS.ok, description: 'The artifact.', schema: artifactViewSchema, example: EXAMPLES.artifact }],
  problems: ['invalid_parameter', 'artifact_not_found', ...READ_PROBLEMS],
  handle: async (call, services) => json(STATUS.ok, await artifactView(services, call.params.artifact_id)),
});

const content = route({
  method: 'GET',
  path: '/api/v1/artifacts/{artifact_id}/content',
  operationId: 'getArtifactContent',
  tag: 'artifacts',
  summary: 'The bytes of an artifact',
  params,
  headers: { 'If-None-Match': 'The ETag of a copy that the client has.' },
  success: [
    {
      status: STATUS.ok,
      description: 'The bytes; the type follows from the language of the file.',
      contentType: 'text/plain',
      headers: {
        'Content-Digest': 'SHA-256, RFC 9530.',
        'Repr-Digest': 'SHA-256, RFC 9530.',
        ETag: 'The digest in hex: content never changes.',
      },
    },
    { status: STATUS.notModified, description: 'The client has it.' },
  ],
  problems: ['invalid_parameter', 'artifact_not_found', 'event_missing', 'content_missing', 'content_corrupt', ...READ_PROBLEMS],
  handle: async (call, services) => {
    const view = await artifactView(services, call.params.artifact_id);
    const digest = `sha-256=:${Buffer.from(view.sha256, 'hex').toString('base64')}:`;
    const etag = `"${view.sha256}"`;
    const headers: Record<string, string> = {
      etag,
      'repr-digest': digest,
      'cache-control': 'private, immutable, max-age=31536000',
      'x-content-type-options': 'nosniff',
    };
    const known = call.header('if-none-match');
    if (known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag))
      return { status: STATUS.notModified, headers, body: null };
    const bytes = new TextEncoder().encode(await textOf(services, view));
    headers['content-digest'] = digest;
    headers['content-type'] = MEDIA[view.type];
    headers['content-disposition'] = `inline; filename*=UTF-8''${encodeURIComponent(view.path.slice(view.path.lastIndexOf('/') + 1))}`;
    return { status: STATUS.ok, headers, body: bytes };
  },
});

export const artifactRoutes = [get, content];
