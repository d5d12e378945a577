// The event stream of one cascade or rollback.
import { LIFECYCLE, partitionOf } from '../../schemas/index.js';
import type { Recorded } from '../../streams/index.js';
import { nothingMore, resumeFrom, streamRecords } from '../record-stream.js';
import type { Services } from '../services.js';
import type { Answer, Call } from '../table.js';

/** Something that begins, says events that name it, and ends. */
export interface Running {
  readonly field: 'cascade_id' | 'rollback_id';
  readonly id: string;
  readonly project: string;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly isOver: boolean;
}

const TYPES: Readonly<Record<Running['field'], RegExp>> = {
  cascade_id: /^dats\.(cascade|artifact)\./,
  rollback_id: /^dats\.(rollback|artifact)\./,
};
const END: Readonly<Record<Running['field'], string>> = { cascade_id: 'dats.cascade.completed', rollback_id: 'dats.rollback.completed' };

const textOf = (value: Uint8Array | string): string =>
  typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');

/** What is no JSON is no event, and names nothing. */
const dataOf = ({ event, value }: Recorded, id: string): Readonly<Record<string, unknown>> | undefined => {
  if (event !== undefined) return event.data as unknown as Readonly<Record<string, unknown>>;
  const text = textOf(value);
  if (!text.includes(id)) return undefined;
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
};

/** Does the record's event name it? */
export const isAbout =
  ({ field, id }: Pick<Running, 'field' | 'id'>) =>
  (record: Recorded): boolean =>
    TYPES[field].test(record.type) && dataOf(record, id)?.[field] === id;

/** From its first event, then live; ends after its last one unless `follow` says otherwise. @throws Fault `invalid_parameter`, and of the log */
export const streamAbout = async (
  call: Call<unknown, { readonly lastEventId?: string | undefined; readonly follow: 'true' | 'false' }>,
  services: Services,
  running: Running,
): Promise<Answer> => {
  const { log } = services.deps;
  const { field, project, firstOffset, lastOffset, isOver } = running;
  const partition = partitionOf(project, log.partitions(LIFECYCLE));
  const resume = resumeFrom(call, partition);
  const ends = call.query.follow !== 'true';
  if (ends && isOver && resume !== undefined && resume > lastOffset) return nothingMore();
  const wanted = isAbout(running);
  return streamRecords(call, services, {
    follow: { partition, project },
    range: await log.range(LIFECYCLE, partition),
    from: resume ?? firstOffset,
    wanted,
    ...(ends ? { isLast: (record) => record.type === END[field] && wanted(record) } : {}),
    ...(ends && isOver ? { until: lastOffset + 1 } : {}),
  });
};
