// What a PromQL expression asks for: metrics, the labels it selects them by, the labels it groups by. Only for the queries of this repository; it does not check
// PromQL itself.

export interface Asked {
  /** Metric -> labels of its matchers. */
  readonly metrics: ReadonlyMap<string, ReadonlySet<string>>;
  readonly groupedBy: ReadonlySet<string>;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|\d[\w.]*|\$\w+|=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>]/g;
const LISTS: ReadonlySet<string> = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const WORDS: ReadonlySet<string> = new Set(['and', 'or', 'unless', 'offset', 'bool']);
const isName = (token: string | undefined): token is string => token !== undefined && /^[a-zA-Z_:]/.test(token);

/** @throws Error when something in `expr` is no token of PromQL. */
export const askedBy = (expr: string): Asked => {
  const rest = expr.replace(TOKEN, '').trim();
  if (rest !== '') throw new Error(`cannot read ${JSON.stringify(rest)} in ${expr}`);
  const tokens = expr.match(TOKEN) ?? [];
  const metrics = new Map<string, Set<string>>();
  const groupedBy = new Set<string>();
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (!isName(token) || WORDS.has(token)) continue;
    if (LISTS.has(token)) {
      for (i += 2; tokens[i] !== ')' && i < tokens.length; i++) if (isName(tokens[i])) groupedBy.add(tokens[i]!);
      continue;
    }
    // A function, or an aggregation with its list before or after what it is about.
    if (tokens[i + 1] === '(' || LISTS.has(tokens[i + 1] ?? '')) continue;
    const labels = metrics.get(token) ?? new Set<string>();
    metrics.set(token, labels);
    if (tokens[i + 1] !== '{') continue;
    for (i += 2; tokens[i] !== '}' && i < tokens.length; i++) if (isName(tokens[i])) labels.add(tokens[i]!);
  }
  return { metrics, groupedBy };
};
