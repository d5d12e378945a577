// The content-addressed store of what is too large for an event: the port.
//
// B1. `put` resolves when the bytes are durable. B2. The same bytes are stored once. B3. `get` checks the digest: what it returns is what was put.

export interface ArtifactStore {
  /** Returns the lower-case hex SHA-256. @throws Fault retryable `disk_full`. */
  put(bytes: Uint8Array): Promise<string>;
  /** @throws Fault terminal `content_missing`, `content_corrupt`. */
  get(sha256: string): Promise<Uint8Array>;
}
