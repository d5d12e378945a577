// Words between the processes of an installation: heard by all that are there, kept for nobody. The port.
//
// B1. Who subscribed hears what every other process publishes, what one process says in the order in which it says it, each word once at most. B2. Words may be lost: while the
// server between is away, or to a process that does not keep up. Whoever needs to know says so again. B3. A process does not hear itself. B4. Nobody waits
// for a listener, and nothing of it fails: publishing never throws.
export interface Broadcast {
  /**
   * Resolves when the word is on its way, or lost (B2): what is published after that, by any process, is heard after it. Between the processes of one disk
   * a process that does not keep up may hear what several say in another order, as nobody waits for it (B4).
   */
  publish(channel: string, message: string): Promise<void>;
  /**
   * In force at the latest for what is said after a later `publish` of this process has resolved: who subscribes and then asks hears the answers.
   * @param heard called later, never inside a `publish`; must not throw
   * @returns ends it at once; twice is fine
   */
  subscribe(channel: string, heard: (message: string) => void): () => void;
  /** Twice is fine. */
  close(): Promise<void>;
}
