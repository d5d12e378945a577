// Groups of a directed graph in which everything depends on everything (strongly connected components), dependencies first. Pure; Tarjan's algorithm
// with its own stack, because a chain of 10,000 items is deeper than the machine's.

/** @param edges `edges[i]`: what `i` depends on. @returns components; one of more than one node, or of a node that depends on itself, is a cycle. */
export const components = (edges: readonly (readonly number[])[]): number[][] => {
  const found: number[][] = [];
  const index = new Int32Array(edges.length).fill(-1);
  const low = new Int32Array(edges.length);
  const cursor = new Int32Array(edges.length);
  const onStack = new Uint8Array(edges.length);
  const stack: number[] = [];
  let count = 0;
  const open = (path: number[], node: number) => {
    index[node] = low[node] = count++;
    stack.push(node);
    onStack[node] = 1;
    path.push(node);
  };
  for (let root = 0; root < edges.length; root++) {
    if (index[root] !== -1) continue;
    const path: number[] = [];
    open(path, root);
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const next = edges[node]![cursor[node]!++];
      if (next !== undefined) {
        if (index[next] === -1) open(path, next);
        else if (onStack[next] === 1) low[node] = Math.min(low[node]!, index[next]!);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[node]!);
      if (low[node] !== index[node]) continue;
      const component: number[] = [];
      for (let member = stack.pop()!; ; member = stack.pop()!) {
        onStack[member] = 0;
        component.push(member);
        if (member === node) break;
      }
      found.push(component);
    }
  }
  return found;
};

/** A shortest way from a node of a cycle back to itself: `[a, b, a]`. */
export const cycleThrough = (edges: readonly (readonly number[])[], component: readonly number[]): number[] => {
  const members = new Set(component);
  const start = component[0]!;
  const cameFrom = new Map<number, number>();
  const open = [start];
  for (const node of open) {
    for (const next of edges[node]!) {
      if (next === start) {
        const way = [start];
        for (let at = node; at !== start; at = cameFrom.get(at)!) way.push(at);
        return [start, ...way.slice(1).reverse(), start];
      }
      if (!members.has(next) || cameFrom.has(next)) continue;
      cameFrom.set(next, node);
      open.push(next);
    }
  }
  return [start];
};
