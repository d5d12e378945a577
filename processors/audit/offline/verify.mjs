// Verifies a history of a project, or a proof about some of its events, with nothing but Node.js (20 or newer) and the key of its keeper.
//
//   node verify.mjs <bundle folder> [--key <vkey, or a file that holds it>]
//   node verify.mjs <proof.json> --key <vkey, or a file that holds it> [--file <the artifact>]
//
// Exit code 0: what was signed is there, as it was signed. 1: it is not, and what is wrong is printed by name. 2: there is nothing to verify, or not with this.
//
// One file to be read whole. It shares no code with the product whose histories it verifies. In five steps: canonical JSON, leaves, the tree, signatures,
// and which events are the leaves that were signed.
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const sha256 = (...parts) =>
  createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();
const hexOf = (bytes) => Buffer.from(bytes).toString('hex');
class Unusable extends Error {}

// 1. Canonical JSON (RFC 8785): sorted keys, no blanks. JSON.stringify writes numbers and strings as the RFC wants them.
const canonical = (value, depth = 0) => {
  if (depth > 500 || (typeof value === 'number' && !Number.isFinite(value))) throw new Error('no canonical JSON');
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key], depth + 1)}`).join(',')}}`;
};

// 2. A leaf: all attributes of the event, and a digest of its data.
const leafOf = ({ headers, data, raw }) => {
  const attributes = Object.create(null);
  for (const name of Object.keys(headers)) attributes[/^_*(data|raw)digest$/.test(name) ? `_${name}` : name] = headers[name];
  if (raw === undefined) attributes.datadigest = `sha256:${hexOf(sha256(canonical(data)))}`;
  else attributes.rawdigest = `sha256:${hexOf(sha256(Buffer.from(raw, 'base64')))}`;
  return sha256([0], canonical(attributes));
};

/** Base64 of the leaf hash; of an event that nobody can have signed, nothing. */
const leafText = (event) => {
  try {
    return leafOf(event).toString('base64');
  } catch {
    return '';
  }
};

// 3. The tree (RFC 6962), as the roots of its full subtrees, the largest first.
const nodeOf = (left, right) => sha256([1], left, right);
const grown = ({ size, edge }, leaves) => {
  const nodes = [...edge];
  let count = size;
  for (const leaf of leaves) {
    let node = leaf;
    for (let rest = count; rest % 2 === 1; rest = (rest - 1) / 2) node = nodeOf(nodes.pop(), node);
    nodes.push(node);
    count++;
  }
  return { size: count, edge: nodes };
};
const rootOf = ({ edge }) => (edge.length === 0 ? sha256() : [...edge].reduceRight((right, left) => nodeOf(left, right)));
/** The root to which an audit path leads; undefined where the path has not the length that such a tree has. */
const rootByPath = (leaf, index, size, path) => {
  let [node, at, last] = [leaf, index, size - 1];
  for (const sibling of path) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      node = nodeOf(sibling, node);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else node = nodeOf(node, sibling);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? node : undefined;
};

// 4. Signatures (C2SP signed-note, tlog-checkpoint; Ed25519).
const keyOf = (vkey) => {
  const [, name, hash, base64] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(vkey.trim()) ?? [];
  const bytes = Buffer.from(base64 ?? '', 'base64');
  if (name === undefined || bytes.length !== 33 || bytes[0] !== 1)
    throw new Unusable(`not the vkey of an Ed25519 key: ${vkey.slice(0, 100)}`);
  if (hexOf(sha256(name, '\n', bytes).subarray(0, 4)) !== hash) throw new Unusable('the hash in the vkey is not that of its key');
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), bytes.subarray(1)]);
  return { name, hash, key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
};
/** What the key signed: origin, size and root; undefined where it signed nothing. */
const signedIn = (note, { name, hash, key }) => {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) return undefined;
  const text = note.slice(0, split + 1);
  const isSigned = note
    .slice(split + 2, -1)
    .split('\n')
    .some((line) => {
      const [, who, base64] = /^— ([^\s+]+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? [];
      const bytes = Buffer.from(base64 ?? '', 'base64');
      if (who !== name || bytes.length !== 68 || hexOf(bytes.subarray(0, 4)) !== hash) return false;
      return verifySignature(null, Buffer.from(text), key, bytes.subarray(4));
    });
  const [, origin, size, root] = (isSigned && /^(\S+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*$/.exec(text)) || [];
  return origin === undefined ? undefined : { origin, size: Number(size), root };
};

// 5a. Which events are the leaves that were signed: what runs in parallel, by hash, the longest such run. The rest is explained at the end.
const longestRun = (leaves, events) => {
  const places = new Map();
  leaves.forEach(({ hash }, i) => {
    places.set(hash, [...(places.get(hash) ?? []), i]);
  });
  const ends = [];
  events.forEach(({ hash }, event) => {
    const leaf = places.get(hash)?.shift();
    if (leaf === undefined) return;
    let k = ends.length;
    while (k > 0 && ends[k - 1].leaf > leaf) k--;
    ends[k] = { leaf, event, before: ends[k - 1] };
  });
  const run = [];
  for (let link = ends.at(-1); link !== undefined; link = link.before) run.unshift([link.leaf, link.event]);
  return run;
};

const align = () => {
  const state = {
    leaves: [],
    events: [],
    gaps: [],
    strays: [],
    shifts: [],
    covered: 0,
    last: { leafOffset: -1, eventOffset: -1, order: -1, leaf: -1 },
  };
  const pair = (leaf, event) => {
    state.last.order = event.order;
    if (leaf.offset === event.offset) state.covered++;
    else state.shifts.push({ leaf, event });
  };
  const settle = (all) => {
    let same = 0;
    while (same < state.leaves.length && same < state.events.length && state.leaves[same].hash === state.events[same].hash) same++;
    for (let i = 0; i < same; i++) pair(state.leaves[i], state.events[i]);
    const [leaves, events] = [state.leaves.slice(same), state.events.slice(same)];
    const run = longestRun(leaves, events);
    const [leafEnd, eventEnd] = all ? [leaves.length, events.length] : (run.at(-1)?.map((at) => at + 1) ?? [0, 0]);
    const [paired, found] = [new Set(run.map(([leaf]) => leaf)), new Set(run.map(([, event]) => event))];
    for (const [leaf, event] of run) pair(leaves[leaf], events[event]);
    state.gaps.push(...leaves.slice(0, leafEnd).filter((_, i) => !paired.has(i)));
    state.strays.push(...events.slice(0, eventEnd).filter((_, i) => !found.has(i)));
    [state.leaves, state.events] = [leaves.slice(leafEnd), events.slice(eventEnd)];
  };
  return { state, settle };
};

const nameOf = ({ offset, headers }) => `${headers.type ?? 'a record without type'} ${headers.id ?? ''} at offset ${offset}`;

const explain = ({ gaps, strays, shifts, last }) => {
  const problems = [];
  const say = (kind, offset, text) => problems.push({ kind, offset, text });
  for (const { leaf, event } of shifts)
    say('reordered', event.offset, `${nameOf(event)} was signed at offset ${leaf.offset}, as leaf ${leaf.leaf}`);
  const left = new Set(gaps);
  const [byHash, byOffset] = [new Map(gaps.map((gap) => [gap.hash, gap])), new Map(gaps.map((gap) => [gap.offset, gap]))];
  const taken = (gap) => (gap !== undefined && left.delete(gap) ? gap : undefined);
  const unmoved = strays.filter((event) => {
    const gap = taken(byHash.get(event.hash));
    if (gap !== undefined) say('reordered', event.offset, `${nameOf(event)} was signed at offset ${gap.offset}, as leaf ${gap.leaf}`);
    return gap === undefined;
  });
  let uncovered = 0;
  for (const event of unmoved) {
    const gap = taken(byOffset.get(event.offset));
    if (gap !== undefined) say('changed', event.offset, `${nameOf(event)} is not what was signed as leaf ${gap.leaf}`);
    else if (event.offset > last.leafOffset && event.order > last.order) uncovered++;
    else say('inserted', event.offset, `${nameOf(event)} was never signed`);
  }
  const lost = [...left];
  let kept = lost.length;
  while (kept > 0 && lost[kept - 1].leaf === last.leaf - (lost.length - kept) && lost[kept - 1].offset > last.eventOffset) kept--;
  for (const { leaf, offset } of lost.slice(0, kept))
    say('missing', offset, `the event of leaf ${leaf}, at offset ${offset}, is not there`);
  if (kept < lost.length)
    say(
      'truncated',
      lost[kept].offset,
      `the newest ${lost.length - kept} of ${last.leaf + 1} signed events are not there, from offset ${lost[kept].offset} on`,
    );
  return { problems, uncovered };
};

// 5b. Checkpoint after checkpoint: each goes on where the one before ended, and its leaves lead to the root that was signed.
const verifyHistory = (events, checkpoints, key, project) => {
  const problems = [];
  const say = (kind, size, why) => problems.push({ kind, offset: undefined, text: `checkpoint of ${size} leaves: ${why}` });
  const { state, settle } = align();
  const { last } = state;
  const origin = `${key.name}/${project}`;
  const seen = events.map((event, order) => ({ ...event, order, hash: leafText(event) }));
  let [next, tree, held, newest, lastNote, isLost, verified] = [0, { size: 0, edge: [] }, [], undefined, undefined, false, 0];
  const see = () => {
    state.events.push(seen[next]);
    last.eventOffset = Math.max(last.eventOffset, seen[next++].offset);
  };
  const hashes = (list) => list.map(({ hash }) => Buffer.from(hash, 'base64'));
  for (const checkpoint of checkpoints) {
    const signed = signedIn(checkpoint.note, key);
    if (signed === undefined) {
      held.push(checkpoint);
      say('bad_signature', checkpoint.size, `it has no valid signature of ${key.name}`);
      continue;
    }
    const { size } = signed;
    if (signed.origin !== origin || checkpoint.project_id !== project) {
      say('inconsistent_checkpoint', size, `it is of ${signed.origin} and says ${checkpoint.project_id}, not of ${origin}`);
      continue;
    }
    if (checkpoint.size !== size || checkpoint.root !== signed.root)
      say('bad_root', size, 'its size or root is not that of its signed note');
    if (checkpoint.note === lastNote) continue;
    lastNote = checkpoint.note;
    if (size <= tree.size) {
      say('inconsistent_checkpoint', size, `it comes after one of ${tree.size}`);
      continue;
    }
    // Lists of unsigned checkpoints may be right: the signed root after them tells.
    const bridge = [];
    let [begin, list, at] = [size - checkpoint.leaves.length, checkpoint.leaves, tree.size];
    for (const one of held)
      if (one.size - one.leaves.length === at && one.size <= begin) {
        bridge.push(one);
        at = one.size;
      }
    if (at === begin) [begin, list] = [tree.size, [...bridge.flatMap((one) => one.leaves), ...list]];
    held = [];
    const leaves = list.map(([offset, hash], i) => ({ leaf: begin + i, offset, hash })).slice(Math.max(0, tree.size - begin));
    const until = leaves.at(-1)?.offset ?? -1;
    while (next < seen.length && (seen[next].offset <= until || next < size)) see();
    if (begin > tree.size) say('inconsistent_checkpoint', size, `leaves ${tree.size} to ${begin - 1} are in no list before it`);
    if (begin < tree.size)
      say('inconsistent_checkpoint', size, `its list begins at leaf ${begin}, but ${tree.size} leaves were covered already`);
    const expect = () => {
      for (const leaf of leaves) state.leaves.push(leaf);
      if (leaves.length > 0) [last.leaf, last.leafOffset] = [leaves.at(-1).leaf, Math.max(last.leafOffset, leaves.at(-1).offset)];
    };
    const isRoot = (some) => some.size === size && rootOf(some).toString('base64') === signed.root;
    const count = size - tree.size;
    const byList = grown(tree, hashes(leaves));
    const byEvents =
      state.leaves.length === 0 && state.events.length >= count ? grown(tree, hashes(state.events.slice(0, count))) : undefined;
    if (isRoot(byList)) {
      expect();
      tree = byList;
    } else if (byEvents !== undefined && isRoot(byEvents)) {
      if (begin === tree.size) say('bad_root', size, 'its list of leaves is not what was signed; the events are');
      for (const { offset, order } of state.events.splice(0, count))
        [last.leafOffset, last.order] = [Math.max(last.leafOffset, offset), order];
      [state.covered, last.leaf] = [state.covered + count, last.leaf + count];
      tree = byEvents;
    } else {
      // One wrong leaf puts every later root out of reach: that is said once.
      if (!isLost) say('bad_root', size, 'neither its list of leaves nor the events lead to the root that was signed');
      const first = leaves[0]?.offset ?? -1;
      if (begin > tree.size) state.events = state.events.filter(({ offset }) => offset <= last.leafOffset || offset >= first);
      expect();
      const unknown = Array.from({ length: Math.max(0, begin - tree.size) }, () => Buffer.alloc(32));
      tree = grown(grown(tree, unknown), hashes(leaves));
      isLost = true;
      settle(false);
      continue;
    }
    [newest, isLost] = [signed, false];
    verified++;
    settle(false);
  }
  while (next < seen.length) see();
  settle(true);
  const explained = explain(state);
  return {
    problems: [...problems, ...explained.problems],
    size: newest?.size ?? 0,
    covered: state.covered,
    uncovered: explained.uncovered,
    verified,
  };
};

// What is given: a bundle, or a proof.
const read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Unusable(`cannot read ${path}: ${error.code ?? error.message}`);
  }
};
const isText = (value) => typeof value === 'string';
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const isOffset = (value) => Number.isSafeInteger(value) && value >= 0;
const isEvent = (value, more = []) =>
  isObject(value) &&
  isOffset(value.offset) &&
  isObject(value.headers) &&
  Object.values(value.headers).every(isText) &&
  (value.raw === undefined ? value.data !== undefined : value.data === undefined && isText(value.raw)) &&
  Object.keys(value).every((name) => ['offset', 'headers', 'data', 'raw', ...more].includes(name));
const isCheckpoint = (value) =>
  isObject(value) &&
  isText(value.note) &&
  Number.isSafeInteger(value.size) &&
  isText(value.root) &&
  Array.isArray(value.leaves) &&
  value.leaves.every((leaf) => Array.isArray(leaf) && isOffset(leaf[0]) && isText(leaf[1]));
/** Lines that fit; those that do not are problems. */
const linesOf = (path, file, fits, problems) =>
  read(join(path, file))
    .split('\n')
    .flatMap((line, i) => {
      if (line === '') return [];
      try {
        const value = JSON.parse(line);
        if (fits(value)) return [value];
      } catch {}
      problems.push({ kind: 'unreadable', text: `${file}, line ${i + 1}: not what such a line is` });
      return [];
    });

const verifyBundle = (path, given, say) => {
  const key = keyOf(given ?? read(join(path, 'key.vkey')));
  if (given === undefined)
    say('note: the key came with the bundle; compare it with the one that the keeper published, and give that with --key');
  const unreadable = [];
  const events = linesOf(path, 'events.jsonl', (value) => isEvent(value), unreadable);
  const checkpoints = linesOf(path, 'checkpoints.jsonl', isCheckpoint, unreadable);
  const signed = checkpoints.map(({ note }) => signedIn(note, key)).find((one) => one?.origin.startsWith(`${key.name}/`));
  const project = signed?.origin.slice(key.name.length + 1) ?? checkpoints[0]?.project_id ?? '?';
  const report = verifyHistory(events, checkpoints, key, project);
  const problems = [...unreadable, ...report.problems];
  for (const { kind, text } of problems) say(`${kind}: ${text}`);
  say(
    `project ${project}: ${events.length} events, ${report.covered} as they were signed, ${report.uncovered} after the last checkpoint; ` +
      `${report.verified} of ${checkpoints.length} checkpoints verified, the newest of ${report.size} leaves`,
  );
  if (problems.length > 0) return 1;
  if (report.size > 0) return 0;
  say('nothing is proven: there is no checkpoint');
  return 2;
};

const verifyProof = (path, given, file, say) => {
  let proof;
  try {
    proof = JSON.parse(read(path));
  } catch (error) {
    throw error instanceof Unusable ? error : new Unusable(`${path} is not JSON`);
  }
  if (proof?.format !== 'dats-audit-proof/1' || !isText(proof.checkpoint) || !Array.isArray(proof.events) || proof.events.length === 0)
    throw new Unusable(`${path} is not a proof`);
  if (given === undefined) throw new Unusable('a proof needs the key of the keeper: --key <vkey>');
  const key = keyOf(given);
  const signed = signedIn(proof.checkpoint, key);
  const wrong = [];
  if (signed === undefined) wrong.push(`bad_signature: the checkpoint has no valid signature of ${key.name}`);
  else if (signed.origin !== `${key.name}/${proof.project_id}`)
    wrong.push(`inconsistent_checkpoint: it is of ${signed.origin}, not of ${proof.project_id}`);
  const makers = [];
  for (const event of proof.events) {
    const fits = isEvent(event, ['leaf', 'proof']) && isOffset(event.leaf) && Array.isArray(event.proof) && event.proof.every(isText);
    const path = fits ? event.proof.map((hash) => Buffer.from(hash, 'base64')) : [];
    const root =
      fits && signed !== undefined && event.leaf < signed.size
        ? rootByPath(Buffer.from(leafText(event), 'base64'), event.leaf, signed.size, path)
        : undefined;
    if (root?.toString('base64') !== signed?.root || signed === undefined || event.headers.projectid !== proof.project_id)
      wrong.push(`changed: the event at offset ${event?.offset} is not leaf ${event?.leaf} of the signed tree`);
    else {
      say(`proven: ${nameOf(event)} is leaf ${event.leaf} of ${signed.size}, ${signed.origin}`);
      if (event.headers.type === 'dats.task.output.created') makers.push(...(event.data?.artifacts ?? []));
    }
  }
  if (proof.artifact_id !== undefined) {
    const made = makers.find((artifact) => artifact?.artifact_id === proof.artifact_id);
    if (made === undefined) wrong.push(`missing: no proven event says that artifact ${proof.artifact_id} was made`);
    else say(`proven: artifact ${made.artifact_id} is ${made.path}, sha256 ${made.sha256}`);
    if (made !== undefined && file !== undefined && hexOf(sha256(readFileSync(file))) !== made.sha256)
      wrong.push(`changed: ${file} is not the artifact that was made`);
  }
  for (const line of wrong) say(line);
  return wrong.length > 0 ? 1 : 0;
};

const main = ([path, ...rest], say) => {
  const options = {};
  for (let i = 0; i < rest.length; i += 2) {
    if (!['--key', '--file'].includes(rest[i]) || rest[i + 1] === undefined) throw new Unusable(`unknown option ${rest[i]}`);
    options[rest[i]] = rest[i + 1];
  }
  if (path === undefined)
    throw new Unusable('usage: node verify.mjs <bundle folder | proof.json> [--key <vkey | file>] [--file <artifact>]');
  if (!existsSync(path)) throw new Unusable(`there is no ${path}`);
  const key = options['--key'] !== undefined && existsSync(options['--key']) ? read(options['--key']) : options['--key'];
  return statSync(path).isDirectory() ? verifyBundle(path, key, say) : verifyProof(path, key, options['--file'], say);
};

try {
  process.exitCode = main(process.argv.slice(2), (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(['ok\n', 'TAMPERED\n', 'UNUSABLE\n'][process.exitCode]);
} catch (error) {
  process.stderr.write(`UNUSABLE: ${error.message}\n`);
  process.exitCode = 2;
}
