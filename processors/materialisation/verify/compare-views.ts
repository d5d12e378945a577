// The documents that the view store has of a project beside those that the fold has, to the byte.
//
// C1. What lies in a view store is at every moment the fold of exactly the events below its checkpoint (M6). So a document whose version is at or below the position of the
// fold must be the fold's, now. One that has moved on since says how far itself: the fold goes on to just there, and then the two must be the same. Nobody
// has to hold still, and nothing is let pass because it moved. C2. A version above the checkpoint is no move: documents and checkpoint are one write (M1).
// C3. A store that is emptied and filled again meanwhile differs for a moment. Then its checkpoint falls, which is said; and a difference counts only when it is seen
// twice, by two looks at everything. C4. Lists are compared too: what is there and is not listed is lost to whoever looks for it.
import { Fault, LIFECYCLE, type VIEW_DIFFERENCES, type ViewDifference } from '../../../schemas/index.js';
import type { Log, ViewStore } from '../../../streams/index.js';
import { VIEW } from '../materialise.js';
import { type ArtifactDoc, type TaskDoc, taskDocument } from '../task-view.js';
import { firstPlace, shownApart } from './findings.js';
import type { Pace } from './pace.js';
import type { Folded, ProjectFold } from './project-fold.js';
import type { ProjectPlace } from './project-records.js';

/** Documents that are asked for at once, and keys of a page of a list. */
const AT_ONCE = 128;
const PAGE = 1_000;
const LISTED = /^(?:project|task)\/[^/]+\//;

type Collection = ViewDifference['collection'];
type What = (typeof VIEW_DIFFERENCES)[number];
interface Key {
  readonly collection: Collection;
  readonly id: string;
}
interface Live extends Key {
  readonly doc: unknown;
  readonly version: number;
}

/** As the stores have it with the document: each says it itself. NaN where it does not. */
const VERSION_OF: Readonly<Record<Collection, (doc: never) => number>> = {
  task: (doc: TaskDoc) => taskDocument(doc, false).version,
  artifact: (doc: ArtifactDoc) => doc.at + 1,
  project: (doc: { readonly version: number }) => doc.version,
};

const versionOf = ({ collection }: Key, doc: unknown): number => {
  try {
    return VERSION_OF[collection](doc as never);
  } catch {
    return Number.NaN;
  }
};

const nameOf = ({ collection, id }: Key): string => `${collection}/${id}`;
const whole = (version: number): number | null => (Number.isSafeInteger(version) ? version : null);

const differenceOf = (key: Key, what: What, folded: Folded | undefined, live: Live | undefined): ViewDifference => {
  const { place, expected, found } = firstPlace(
    folded === undefined ? undefined : JSON.parse(folded.json),
    live === undefined ? undefined : live.doc,
  );
  const apart = shownApart(expected ?? '', found ?? '');
  return {
    collection: key.collection,
    id: key.id,
    what,
    place,
    expected: expected === undefined ? null : apart.expected,
    found: found === undefined ? null : apart.found,
    expected_version: folded?.version ?? null,
    found_version: live === undefined ? null : whole(live.version),
  };
};

/** Undefined: they are the same. */
const compared = (key: Key, folded: Folded | undefined, live: Live | undefined): ViewDifference | undefined => {
  if (live === undefined) return folded === undefined ? undefined : differenceOf(key, 'missing', folded, live);
  if (folded === undefined) return differenceOf(key, 'extra', folded, live);
  return JSON.stringify(live.doc) === folded.json ? undefined : differenceOf(key, 'changed', folded, live);
};

const liveOf = (key: Key, doc: unknown): Live | undefined =>
  doc === undefined ? undefined : { ...key, doc, version: versionOf(key, doc) };

/** Beginning of keys -> key -> the document that is listed under it. */
type Listed = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What lists must have of these documents: tasks by their project, artifacts by their task. */
const listedOf = (fold: ProjectFold): Listed => {
  const listed = new Map<string, Map<string, string>>();
  for (const { id, indexes } of fold.all())
    for (const key of indexes) {
      const prefix = LISTED.exec(key)?.[0];
      if (prefix === undefined) continue;
      const keys = listed.get(prefix) ?? new Map<string, string>();
      listed.set(prefix, keys.set(key, id));
    }
  return listed;
};

function* inParts<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < items.length; i += AT_ONCE) yield items.slice(i, i + AT_ONCE);
}

export interface ViewSources {
  readonly log: Log;
  readonly views: ViewStore;
  readonly fold: ProjectFold;
  readonly place: ProjectPlace;
  readonly pace: Pace;
}

export interface ViewsLook {
  readonly documents: number;
  readonly upTo: number;
  /** By the names of the documents. */
  readonly differences: ReadonlyMap<string, ViewDifference>;
}

/** One look at everything. */
class Look {
  readonly #sources: ViewSources;
  readonly #seen = new Set<string>();
  readonly #later: Live[] = [];
  readonly #differences = new Map<string, ViewDifference>();

  constructor(sources: ViewSources) {
    this.#sources = sources;
  }

  async run(): Promise<ViewsLook> {
    const { fold, place } = this.#sources;
    const upTo = await this.#reach();
    if (upTo < fold.upTo) throw fallen(upTo, fold.upTo);
    await fold.advance(upTo);
    const keys = [...fold.all()].map(({ collection, id }) => ({ collection: collection as Collection, id }));
    const listed = listedOf(fold);
    await this.#compare([...keys, { collection: 'project', id: place.projectId }]);
    const tasks = await this.#compareList('task', `project/${place.projectId}/`, listed);
    for (const { collection, id } of keys) if (collection === 'task') tasks.add(id);
    for (const some of inParts([...tasks])) await Promise.all(some.map((id) => this.#compareList('artifact', `task/${id}/`, listed)));
    const after = await this.#reach();
    if (after < upTo) throw fallen(after, upTo);
    await this.#compareLater(after);
    return { documents: this.#seen.size, upTo, differences: this.#differences };
  }

  /** Where the views are, and no further than the log goes: it may have been restored from older. */
  async #reach(): Promise<number> {
    const { log, views, place } = this.#sources;
    const checkpoint = await views.checkpoint(VIEW, place.partition);
    return Math.min(checkpoint, (await log.range(LIFECYCLE, place.partition)).end);
  }

  #note(difference: ViewDifference | undefined): void {
    if (difference !== undefined) this.#differences.set(nameOf(difference), difference);
  }

  /** @param isListed a list says that they are there */
  async #compare(keys: readonly Key[], isListed = false): Promise<void> {
    const { views, fold, pace } = this.#sources;
    for (const some of inParts(keys.filter((key) => !this.#seen.has(nameOf(key))))) {
      const docs = await Promise.all(some.map(({ collection, id }) => views.get<unknown>(collection, id)));
      for (const [i, key] of some.entries()) {
        const live = liveOf(key, docs[i]);
        const folded = fold.get(key.collection, key.id);
        if (live !== undefined || folded !== undefined || isListed) this.#seen.add(nameOf(key));
        if (live !== undefined && live.version > fold.upTo) this.#later.push(live);
        else if (live === undefined && folded === undefined && isListed) this.#note(differenceOf(key, 'missing', folded, live));
        else this.#note(compared(key, folded, live));
        await pace.next();
      }
    }
  }

  /** C4. @returns the ids that are listed */
  async #compareList(collection: 'task' | 'artifact', prefix: string, listed: Listed): Promise<Set<string>> {
    const { views, fold } = this.#sources;
    const ids = new Set<string>();
    const wanted = new Map(listed.get(prefix));
    for (let after: string | undefined; ; ) {
      const page = await views.list(collection, prefix, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      await this.#compare(
        page.map(({ id }) => ({ collection, id })),
        true,
      );
      for (const { key, id } of page) {
        ids.add(id);
        if (!wanted.delete(key) && fold.get(collection, id) !== undefined) this.#noteKey({ collection, id }, 'extra', key);
      }
      if (page.length < PAGE) break;
      after = page.at(-1)!.key;
    }
    for (const [key, id] of wanted) this.#noteKey({ collection, id }, 'unlisted', key);
    return ids;
  }

  /** Of a document that differs itself nothing is said about its lists. */
  #noteKey(of: Key, what: What, key: string): void {
    if (this.#differences.has(nameOf(of))) return;
    const version = this.#sources.fold.get(of.collection, of.id)!.version;
    this.#note({ ...of, what, place: key, expected: null, found: null, expected_version: version, found_version: version });
  }

  /** C1, C2. */
  async #compareLater(reach: number): Promise<void> {
    const { fold } = this.#sources;
    for (const live of this.#later.sort((a, b) => a.version - b.version)) {
      if (live.version <= reach) await fold.advance(live.version);
      this.#note(compared(live, fold.get(live.collection, live.id), live));
    }
  }
}

const fallen = (checkpoint: number, before: number): Fault =>
  new Fault(
    'retryable',
    'views_behind',
    `the views stand at ${checkpoint} and were at ${before} before: they were emptied and are being rebuilt; try again in some seconds`,
  );

/** @throws Fault retryable `views_behind` when the views are emptied meanwhile; terminal `verify_too_large`; as the view store and the log */
export const compareViews = async (sources: ViewSources): Promise<ViewsLook> => {
  const first = await new Look(sources).run();
  if (first.differences.size === 0) return first;
  const second = await new Look(sources).run();
  // C3.
  const differences = new Map([...second.differences].filter(([name]) => first.differences.has(name)));
  return { ...second, differences };
};
