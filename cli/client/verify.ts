// The part of the client that has a project folded again and compared.
import type { VerifyReport } from '../../schemas/index.js';
import type { Http } from './http.js';

/** It takes as long as the history is; the server says meanwhile that it is still there. Milliseconds. */
const VERIFY_MS = 3_600_000;

export const verifyOf = (http: Http) => ({
  /** Differences are an answer, not an error. @throws Fault as every call */
  verify: (project: string, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<VerifyReport> =>
    http.json({ path: `/api/v1/projects/${encodeURIComponent(project)}/verify`, signal, timeoutMs: VERIFY_MS }),
});
