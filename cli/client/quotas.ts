// The part of the client that asks how budgets stand.
import type { QuotaAccount, QuotaSubjectKind, ResetAnswer } from '../../schemas/index.js';
import type { Http } from './http.js';

const BASE = '/api/v1/quotas';

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface QuotaQuery {
  readonly kind?: QuotaSubjectKind | undefined;
  readonly limit?: number;
  readonly cursor?: string | undefined;
}

export interface QuotaPage {
  readonly quotas: readonly QuotaAccount[];
  readonly next_cursor: string | null;
}

const pathOf = (kind: QuotaSubjectKind, id: string): string => `${BASE}/${kind}/${encodeURIComponent(id)}`;

export const quotasOf = (http: Http) => ({
  quotas: (query: QuotaQuery = {}, { signal }: CallOptions = {}): Promise<QuotaPage> =>
    http.json({ path: BASE, query: { ...query }, signal }),
  quota: (kind: QuotaSubjectKind, id: string, { signal }: CallOptions = {}): Promise<QuotaAccount> =>
    http.json({ path: pathOf(kind, id), signal }),
  resetQuota: (
    kind: QuotaSubjectKind,
    id: string,
    body: { readonly reason?: string | undefined; readonly by?: string | undefined } = {},
    { signal }: CallOptions = {},
  ): Promise<ResetAnswer> => http.json({ method: 'POST', path: `${pathOf(kind, id)}/reset`, json: body, signal }),
});
