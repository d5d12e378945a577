// `dats audit verify`: is a history what was signed? That of a server, of a copy of a data folder, or of an exported folder.
//
// V1. 0: verified; 1: tampered with, or damaged; 2: nothing could be said, also where no checkpoint is there to verify with. V2. With a key of the user's
// everything is verified here, over the events themselves; a server's own word counts only for its own key. V3. A copy stays as it is (F8 of offline.ts).
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditEvent, checkpointsOf, openHistory, verifierOf, verifyHistory } from '../../processors/audit/index.js';
import { type AuditReport, formatPosition, isFault, LIFECYCLE, partitionOf } from '../../schemas/index.js';
import { badUsage, EXIT } from '../exit.js';
import { inFolder, LOOKING, namedFolder, withServer } from '../offline.js';
import { type AuditPlaces, auditLines, keyLine } from '../render/index.js';
import type { Action, Session } from '../session.js';
import { type Damage, readingOver } from './audit-damage.js';
import { openBundleFolder, projectOf, writeBundleFolder } from './audit-folder.js';
import { checkedKey, judged, trustedKey, vkeyOfFile } from './audit-key.js';

interface Seen {
  readonly report: AuditReport;
  readonly places: AuditPlaces;
  /** What could not be read, one line each. */
  readonly unreadable: readonly string[];
  /** Whose word it is that the key is right. */
  readonly keyFrom: string;
}

/** Where events with problems stand, and of which task they are. */
const placesOf = async (
  report: AuditReport,
  partition: number | undefined,
  events: () => AsyncIterable<AuditEvent>,
): Promise<AuditPlaces> => {
  const wanted = new Set(report.problems.flatMap(({ offset }) => offset ?? []));
  const places = new Map<number, { position: string; task?: string }>();
  if (wanted.size === 0 || partition === undefined) return places;
  for (const offset of wanted) places.set(offset, { position: formatPosition({ partition, offset }) });
  for await (const { offset, headers } of events()) {
    const { subject } = headers;
    if (wanted.has(offset) && subject !== undefined) places.set(offset, { position: formatPosition({ partition, offset }), task: subject });
  }
  return places;
};

const inBundle = async (folder: string, project: string | undefined, key: string | undefined, keyFrom: string): Promise<Seen> => {
  const bundle = await openBundleFolder(folder);
  const own = (): string => checkedKey(bundle.vkey, (why) => badUsage(`${join(folder, 'key.vkey')}: ${why}`)).vkey;
  const vkey = key ?? own();
  const of = project ?? (await projectOf(bundle, verifierOf(vkey)));
  if (of === undefined) throw badUsage(`there is nothing in ${folder}: no event and no checkpoint`);
  let partition: number | undefined;
  const checkpoints = async function* () {
    for await (const checkpoint of bundle.checkpoints()) {
      partition ??= checkpoint.partition;
      yield checkpoint;
    }
  };
  const report = await verifyHistory({ project: of, events: bundle.events(), checkpoints: checkpoints(), vkey });
  const places = await placesOf(report, partition, bundle.events);
  return { report, places, unreadable: [...bundle.unreadable], keyFrom };
};

/** A folder for the time that `use` takes. */
const withScratch = async <T>(use: (folder: string) => Promise<T>): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), 'dats-audit-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const ofServer = async (session: Session, project: string, key: string | undefined): Promise<Seen> => {
  const { signal } = session.io;
  return withServer(session, LOOKING, async (client) => {
    const report = key === undefined ? await client.auditReport(project, { signal }) : undefined;
    const keyFrom = report === undefined ? 'given with --key' : 'the keeper’s own; with --key you give the one that you trust';
    if (report?.ok === true) return { report, places: new Map(), unreadable: [], keyFrom };
    const seen = withScratch(async (scratch) => {
      await writeBundleFolder(scratch, client.auditBundle(project, { signal }));
      return inBundle(scratch, project, key, keyFrom);
    });
    if (report === undefined) return seen;
    return { report, places: await placesIn(session, seen), unreadable: [], keyFrom };
  });
};

/** What is wrong is said also where it cannot be said of which task it is. */
const placesIn = async (session: Session, seen: Promise<Seen>): Promise<AuditPlaces> => {
  try {
    return (await seen).places;
  } catch (error) {
    session.io.signal.throwIfAborted();
    if (!isFault(error)) throw error;
    session.note(`(of which tasks the events are could not be asked: ${error.message})`);
    return new Map();
  }
};

const said = ({ topic, position, why }: Damage): string => `${topic} ${position} cannot be read: ${why.split(';')[0]}`;

/** A copy of a data folder, with a node that does nothing but open it. */
const inDataFolder = async (session: Session, name: string, project: string, key: string | undefined): Promise<Seen> => {
  const { signal } = session.io;
  const folder = await namedFolder(session, name);
  const own = key === undefined ? vkeyOfFile(folder.keyFile, folder.configuration.config.audit.origin) : undefined;
  const vkey = key ?? own;
  if (vkey === undefined) throw badUsage(`there is no key at ${folder.keyFile}; give the one that you trust with --key`);
  const keyFrom = key === undefined ? `of ${folder.keyFile}; with --key you give the one that you trust` : 'given with --key';
  return withScratch((scratch) =>
    inFolder(session, folder, join(scratch, 'signing.pem'), async ({ log }) => {
      const damages = new Map<string, Damage>();
      const history = await openHistory(
        readingOver(log, (damage) => damages.set(`${damage.topic} ${damage.position}`, damage)),
        project,
        signal,
      );
      const report = await verifyHistory({ project, events: history.events(), checkpoints: checkpointsOf(history), vkey });
      if (report.events === 0 && report.checkpoints.total === 0 && damages.size === 0)
        throw badUsage(`project ${project} has no event and no checkpoint in ${name}; is it written right?`);
      const places = await placesOf(report, partitionOf(project, log.partitions(LIFECYCLE)), () => history.events());
      return { report, places, unreadable: [...damages.values()].map(said), keyFrom };
    }),
  );
};

type Asked = Readonly<Record<'bundle' | 'dataDir' | 'key' | 'url', string | undefined>>;

const seenBy = async (session: Session, project: string | undefined, { bundle, dataDir, key, url }: Asked): Promise<Seen> => {
  if (bundle !== undefined && dataDir !== undefined) throw badUsage('both --bundle and --data-dir are given; give one of them');
  if ((bundle ?? dataDir) !== undefined && url !== undefined) throw badUsage('a folder and --url are given; give one of them');
  const trusted = key === undefined ? undefined : trustedKey(session, key).vkey;
  if (bundle !== undefined) {
    const keyFrom = trusted === undefined ? 'it came with the folder; with --key you give the one that you trust' : 'given with --key';
    return inBundle(session.path(bundle), project, trusted, keyFrom);
  }
  if (project === undefined) throw badUsage('of which project? Such as: dats audit verify demo');
  return dataDir === undefined ? ofServer(session, project, trusted) : inDataFolder(session, dataDir, project, trusted);
};

export const verify: Action = async (session, [project], options) => {
  const asked = options as Asked;
  const { report, places, unreadable, keyFrom } = await judged(seenBy(session, project, asked));
  const ok = report.ok && unreadable.length === 0;
  const problems = report.problems.map((one) => ({ ...one, ...(one.offset === undefined ? {} : places.get(one.offset)) }));
  session.data({ ...report, ok, problems, unreadable, key_from: keyFrom });
  session.say(...auditLines({ report, places, unreadable }, session.colours), keyLine(report.vkey, keyFrom));
  if (asked.bundle !== undefined) session.note(`(the same without this product: node ${join(asked.bundle, 'verify.mjs')} ${asked.bundle})`);
  if (!ok) return EXIT.failed;
  return report.size > 0 ? EXIT.ok : EXIT.usage;
};
