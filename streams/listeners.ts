// Who in this process listens to which channel: what the adapters of `Broadcast` share.

interface Listener {
  readonly heard: (message: string) => void;
}

export class Listeners {
  readonly #byChannel = new Map<string, Set<Listener>>();

  /** The channels that somebody listens to. */
  get channels(): readonly string[] {
    return [...this.#byChannel.keys()];
  }

  has(channel: string): boolean {
    return this.#byChannel.has(channel);
  }

  /** @returns ends it; twice is fine */
  add(channel: string, heard: (message: string) => void): () => void {
    const listener = { heard };
    const all = this.#byChannel.get(channel) ?? new Set();
    this.#byChannel.set(channel, all.add(listener));
    return () => {
      all.delete(listener);
      if (all.size === 0 && this.#byChannel.get(channel) === all) this.#byChannel.delete(channel);
    };
  }

  /** Tells those who listen now, and who still do when their turn comes: one may end another. */
  tell(channel: string, message: string): void {
    const all = this.#byChannel.get(channel) ?? new Set();
    for (const listener of [...all]) if (all.has(listener)) listener.heard(message);
  }

  clear(): void {
    for (const all of this.#byChannel.values()) all.clear();
    this.#byChannel.clear();
  }
}
