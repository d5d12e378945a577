// What must hold of the spans of a trace, whoever looks: a fold, or a collector.

export interface TreeSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
}

/** The spans by trace; a span that came twice counts once. */
export const tracesOf = <S extends TreeSpan>(spans: readonly S[]): ReadonlyMap<string, readonly S[]> => {
  const traces = new Map<string, Map<string, S>>();
  for (const span of spans) {
    const trace = traces.get(span.traceId) ?? new Map<string, S>();
    traces.set(span.traceId, trace.set(span.spanId, span));
  }
  return new Map([...traces].map(([id, trace]) => [id, [...trace.values()]]));
};

/** What is wrong with a trace: it has one root, and every other span hangs on one of its spans. `callers`: ids of spans that others hold. */
export const faultsOfTrace = (spans: readonly TreeSpan[], callers: ReadonlySet<string> = new Set()): readonly string[] => {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const isRoot = ({ parentSpanId }: TreeSpan): boolean => parentSpanId === undefined || callers.has(parentSpanId);
  const roots = spans.filter(isRoot).map(({ name }) => name);
  const orphans = spans.filter((span) => !isRoot(span) && !ids.has(span.parentSpanId!)).map(({ name }) => name);
  return [...(roots.length === 1 ? [] : [`roots: ${roots.join(', ') || 'none'}`]), ...orphans.map((name) => `${name} has no parent`)];
};

/** `parent > child` by name, sorted, as often as it is there. */
export const edgesOf = (spans: readonly TreeSpan[]): readonly string[] => {
  const names = new Map(spans.map(({ spanId, name }) => [spanId, name]));
  return spans.map(({ parentSpanId, name }) => `${names.get(parentSpanId ?? '') ?? '-'} > ${name}`).sort();
};
