// The settings of a process: the registry's partition, read to its end and followed from there, and what holds now.
//
// S1. Nothing is decided by half a registry: `ready` resolves when everything that was there has been read, and whoever decides waits for it. S2. A log that is
// away is waited for, however long; what was known holds meanwhile. S3. What cannot be read, or does not fit this build, is told once and costs nothing: the last
// value that fits holds. S4. Whoever acts on an event never knows less than whoever said it: `known` waits for the version that the event names, a short while.
// S5. Listeners are told after the change holds; one that throws is told of as a problem.
import {
  CONFIG,
  CONFIG_LOG_KEY,
  type DatsEvent,
  Fault,
  isConfigKey,
  isFault,
  type Position,
  type PromptName,
  partitionOf,
  promptKey,
  promptSchema,
  timeoutSignal,
  toFault,
} from '../../schemas/index.js';
import { eventOf, type Log, pause, type Recorded } from '../../streams/index.js';
import { backoffMs } from '../../streams/runtime/index.js';
import { type Base, changesIn, type Effective, effectiveOf, valueIn } from './effective.js';
import { type Change, type Fold, newFold, type Registry, take } from './fold.js';

/** Waits between two questions to a log that is away, milliseconds. */
const AWAY = { baseMs: 100, maxMs: 2_000 };
/** How long somebody waits for a version that an event names, milliseconds. A log brings a change to every process well within. */
export const KNOWN_WITHIN_MS = 3_000;
/** Versions whose settings are kept at hand for events that were said under them. */
const REMEMBERED = 16;

export interface SettingsOptions {
  readonly log: Pick<Log, 'partitions' | 'range' | 'read'>;
  readonly base: Base;
  /** Told of what cannot be read or used (S3), and of a log that is away. */
  readonly onProblem: (fault: Fault, record?: Recorded) => void;
}

export type ChangeListener = (change: Change, effective: Effective) => void;

export interface Settings {
  readonly base: Base;
  /** Everything that was there is read (S1). Rejects never; pending while the log is away. */
  readonly ready: Promise<void>;
  /** Is it? */
  isReady(): boolean;
  /** What holds now. */
  current(): Effective;
  /** What held under the `configversion` of an event. */
  under(configversion: string): Effective;
  /** S4. Undefined where it is known already; else resolves when it is, at the latest after KNOWN_WITHIN_MS. */
  known(configversion: string, signal?: AbortSignal): Promise<void> | undefined;
  /** Every change that the log holds now is taken in. @throws Fault retryable when the log does not answer; the signal's reason */
  caughtUp(signal: AbortSignal): Promise<void>;
  registry(): Registry;
  /** The system message that a version of `prompts.<name>` says; undefined where there is no such version, or it says none. */
  promptOf(name: PromptName, version: number): string | undefined;
  /** @returns what ends it */
  onChange(listener: ChangeListener): () => void;
  /** Stops following. Idempotent. */
  close(): Promise<void>;
}

/** Begins to read; resolves nothing by itself: see `ready`. */
export const openSettings = (options: SettingsOptions): Settings => new OpenSettings(options);

class OpenSettings implements Settings {
  readonly base: Base;
  readonly ready: Promise<void>;
  readonly #log: SettingsOptions['log'];
  readonly #partition: number;
  readonly #onProblem: SettingsOptions['onProblem'];
  readonly #fold: Fold = newFold();
  readonly #listeners = new Set<ChangeListener>();
  readonly #closed = new AbortController();
  readonly #following: Promise<void>;
  readonly #under = new Map<number, Effective>();
  /** Whoever waits to be told that something was taken in. */
  readonly #waiting = new Set<() => void>();
  /** So many changes were named once and did not come: nobody waits for them again. */
  #unheardOf = 0;
  #current: Effective;
  /** The offset that is taken in next. */
  #next = 0;
  #isReady = false;
  #becomeReady!: () => void;

  constructor({ log, base, onProblem }: SettingsOptions) {
    this.#log = log;
    this.base = base;
    this.#onProblem = onProblem;
    this.#partition = partitionOf(CONFIG_LOG_KEY, log.partitions(CONFIG));
    this.#current = effectiveOf(base, this.#fold, 0);
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    this.#following = this.#follow();
  }

  isReady(): boolean {
    return this.#isReady;
  }

  current(): Effective {
    return this.#current;
  }

  under(configversion: string): Effective {
    if (configversion === this.#current.version) return this.#current;
    const changes = Math.min(changesIn(configversion), this.#fold.changes.length);
    if (changes === this.#fold.changes.length) return this.#current;
    const known = this.#under.get(changes);
    if (known !== undefined) return known;
    const effective = effectiveOf(this.base, this.#fold, changes);
    if (this.#under.size >= REMEMBERED) this.#under.delete(this.#under.keys().next().value!);
    this.#under.set(changes, effective);
    return effective;
  }

  known(configversion: string, signal?: AbortSignal): Promise<void> | undefined {
    if (configversion === this.#current.version) return undefined;
    const changes = changesIn(configversion);
    if (this.#fold.changes.length >= changes) return undefined;
    if (changes <= this.#unheardOf) return undefined;
    return this.#learn(changes, signal);
  }

  async caughtUp(signal: AbortSignal): Promise<void> {
    const { end } = await this.#log.range(CONFIG, this.#partition);
    await this.#until(() => this.#isReady && this.#next >= end, signal);
    signal.throwIfAborted();
  }

  registry(): Registry {
    return this.#fold;
  }

  promptOf(name: PromptName, version: number): string | undefined {
    const change = this.#fold.keys.get(promptKey(name))?.[version - 1];
    return change === undefined ? undefined : promptSchema.safeParse(change.value).data?.system;
  }

  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#wake();
    await this.#following;
  }

  async #learn(changes: number, signal: AbortSignal | undefined): Promise<void> {
    const late = timeoutSignal(KNOWN_WITHIN_MS);
    await this.#until(() => this.#fold.changes.length >= changes, signal === undefined ? late : AbortSignal.any([late, signal]));
    if (late.aborted && this.#fold.changes.length < changes) this.#unheardOf = Math.max(this.#unheardOf, changes);
  }

  /** Resolves when `holds`, or when the signal aborts, or when this is closed. */
  #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds() && !signal.aborted && !this.#closed.signal.aborted) return;
        this.#waiting.delete(look);
        signal.removeEventListener('abort', look);
        resolve();
      };
      this.#waiting.add(look);
      signal.addEventListener('abort', look);
      look();
    });
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closed;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#readToTheEnd(signal);
        failures = 0;
        for await (const records of this.#log.read(this.#from(), signal)) this.#takeAll(records);
        return;
      } catch (error) {
        if (signal.aborted || isFault(error, 'fatal')) return;
        this.#onProblem(toFault(error));
        await pause(backoffMs(++failures, AWAY, Math.random), signal);
      }
    }
  }

  async #readToTheEnd(signal: AbortSignal): Promise<void> {
    const { first, end } = await this.#log.range(CONFIG, this.#partition);
    this.#next = Math.max(this.#next, first);
    if (this.#next < end) for await (const records of this.#log.read(this.#from(), signal, { until: end })) this.#takeAll(records);
    if (signal.aborted) return;
    this.#next = Math.max(this.#next, end);
    this.#isReady = true;
    this.#becomeReady();
    this.#wake();
  }

  #from(): Position {
    return { topic: CONFIG, partition: this.#partition, offset: this.#next };
  }

  #takeAll(records: readonly Recorded[]): void {
    for (const record of records) {
      const change = this.#changeIn(record);
      this.#next = record.offset + 1;
      if (change === undefined) continue;
      this.#current = effectiveOf(this.base, this.#fold, this.#fold.changes.length);
      this.#tellMisfit(change, record);
      this.#tell(change);
    }
    this.#wake();
  }

  #changeIn(record: Recorded): Change | undefined {
    let event: DatsEvent;
    try {
      event = eventOf(record);
    } catch (error) {
      this.#onProblem(toFault(error), record);
      return undefined;
    }
    return event.type === 'dats.config.changed' ? take(this.#fold, event) : undefined;
  }

  #tellMisfit(change: Change, record: Recorded): void {
    const { key, version } = change;
    const why = !isConfigKey(key)
      ? 'this build knows no such setting'
      : valueIn(key, change) === undefined
        ? 'its value does not fit this build; the last one that fits holds'
        : undefined;
    if (why === undefined) return;
    this.#onProblem(new Fault('terminal', 'setting_unknown', `version ${version} of the setting ${key.slice(0, 60)}: ${why}`), record);
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) {
      try {
        listener(change, this.#current);
      } catch (error) {
        this.#onProblem(toFault(error));
      }
    }
  }
}

/** What the event of a change became, once it is folded. */
export const outcomeOf = (registry: Registry, { id, key, version }: Pick<Change, 'id' | 'key' | 'version'>): Change | undefined => {
  const change = registry.keys.get(key)?.[version - 1];
  return change?.id === id ? change : undefined;
};
