// Who may import whom (style: section 3). Offenders are listed by file and line of reasoning, so that a failure says what to move.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** From left to right: a room may import rooms to its left, and itself. The last three are side by side, except that all may drive the command line. */
const LEFT_OF: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  streams: ['schemas'],
  models: ['schemas'],
  processors: ['schemas', 'streams', 'models'],
  gateway: ['schemas', 'streams', 'models', 'processors'],
  nodes: ['schemas', 'streams', 'models', 'processors', 'gateway'],
  cli: ['schemas', 'streams', 'models', 'processors', 'gateway', 'nodes'],
  test: ['schemas', 'streams', 'models', 'processors', 'gateway', 'nodes', 'cli'],
  bench: ['schemas', 'streams', 'models', 'processors', 'gateway', 'nodes', 'cli'],
};
const ROOMS = Object.keys(LEFT_OF);
/** Beside every folder's index.ts. They open what a reader of the index must not pull in: files, processes. */
const DOORS: ReadonlySet<string> = new Set(['processors/artifact-files.ts', 'processors/qa/effect.ts']);
/** Package -> where it may be imported. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  lmdb: ['streams/lmdb/'],
  '@platformatic/kafka': ['streams/kafka/'],
  '@opentelemetry/api': ['nodes/otlp.ts'],
  '@opentelemetry/otlp-transformer': ['nodes/otlp.ts'],
  '@opentelemetry/resources': ['nodes/otlp.ts'],
  '@kafkajs/confluent-schema-registry': ['streams/kafka/'],
  kafkajs: ['streams/kafka/', 'bench/', 'test/'],
  ioredis: ['streams/redis/', 'test/'],
  '@clickhouse/client': ['streams/clickhouse/'],
  chdb: ['streams/clickhouse/engine/'],
  hono: ['gateway/'],
  '@hono/node-server': ['gateway/'],
  '@hono/zod-openapi': ['gateway/'],
  commander: ['cli/'],
  diff: ['cli/render/'],
  picocolors: ['cli/'],
  ollama: ['models/'],
  'prom-client': ['nodes/metrics/'],
  openai: ['models/', 'gateway/openai/clients.test.ts', 'test/model-gateway.e2e.test.ts'],
  yaml: ['nodes/', 'models/scripted/', 'cli/', 'test/'],
  ai: ['gateway/openai/'],
  '@ai-sdk/openai-compatible': ['gateway/openai/'],
  'oxc-parser': ['processors/qa/'],
  'oxc-transform': ['processors/qa/'],
};
const LINES_LIMIT = 400;

interface Import {
  readonly from: string;
  readonly name: string;
  /** The file that is meant, where the name is a path. */
  readonly file: string | undefined;
  readonly typeOnly: boolean;
}

const isTest = (file: string): boolean =>
  /\.(test|contract|cases)\.ts$/.test(file) || file.split('/').includes('testing') || file.startsWith('test/');
const roomOf = (file: string): string => file.split('/', 1)[0]!;
const folderOf = (file: string): string => posix.dirname(file);
const packageOf = (name: string): string => (name.startsWith('@') ? name.split('/', 2).join('/') : name.split('/', 1)[0]!);

const filesIn = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));

const FILES = ROOMS.flatMap(filesIn);
const sources = new Map(FILES.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));

/** `import ... from 'x'`, `export ... from 'x'`, `import 'x'`, `import('x')`. */
const STATEMENT = /^[ \t]*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
const DYNAMIC = /\bimport\(\s*'([^']+)'\s*\)/g;

/** The source without its comments. */
const code = (file: string): string => sources.get(file)!.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');

const importsOf = (file: string): Import[] => {
  const source = code(file);
  const found = [
    ...[...source.matchAll(STATEMENT)].map((match) => ({ name: match[2]!, typeOnly: match[1] !== undefined })),
    ...[...source.matchAll(DYNAMIC)].map((match) => ({ name: match[1]!, typeOnly: false })),
  ];
  return found.map(({ name, typeOnly }) => ({
    from: file,
    name,
    typeOnly,
    file: name.startsWith('.') ? posix.normalize(posix.join(folderOf(file), name)).replace(/\.js$/, '.ts') : undefined,
  }));
};
const IMPORTS = FILES.flatMap(importsOf);
const inside = IMPORTS.filter((one): one is Import & { readonly file: string } => one.file !== undefined && sources.has(one.file));
const shown = ({ from, name }: Import): string => `${from} imports ${name}`;

const grouped = <T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
};

/** A cycle through `next`, as a path; undefined where there is none. */
const cycleIn = (nodes: Iterable<string>, next: (node: string) => readonly string[]): readonly string[] | undefined => {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): readonly string[] | undefined => {
    const at = path.indexOf(node);
    if (at >= 0) return [...path.slice(at), node];
    if (done.has(node)) return undefined;
    path.push(node);
    for (const other of next(node)) {
      const found = visit(other);
      if (found) return found;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const node of nodes) {
    const found = visit(node);
    if (found) return found;
  }
  return undefined;
};

describe('the rooms', () => {
  it('are all there, and the imports of their files are found', () => {
    for (const room of ROOMS) expect(existsSync(join(ROOT, room)), room).toBe(true);
    expect(IMPORTS.length).toBeGreaterThan(500);
    const named = IMPORTS.filter(({ file }) => file !== undefined);
    // Beside the rooms: what the build made, and the scripts that start servers.
    const isBeside = (file: string) => file.startsWith('dist/') || (file.startsWith('deploy/') && existsSync(join(ROOT, file)));
    expect(named.filter(({ file }) => !sources.has(file!) && !isBeside(file!)).map(shown)).toEqual([]);
  });

  it('import only from their left', () => {
    const offenders = inside.filter(({ from, file }) => {
      const [here, there] = [roomOf(from), roomOf(file)];
      return here !== there && !LEFT_OF[here]!.includes(there);
    });
    expect(offenders.map(shown)).toEqual([]);
  });

  it('are entered through a door: the index.ts of a folder', () => {
    const isDoor = (file: string) => file.endsWith('/index.ts') || DOORS.has(file);
    // Tests may use another room's helpers for tests, and bench what it measures from inside.
    const offenders = inside.filter(({ from, file }) => {
      if (roomOf(from) === roomOf(file) || isDoor(file)) return false;
      return !(isTest(from) && file.split('/').includes('testing'));
    });
    expect(offenders.map(shown)).toEqual([]);
  });

  it('keep what is for tests out of what runs', () => {
    expect(inside.filter(({ from, file }) => !isTest(from) && isTest(file)).map(shown)).toEqual([]);
  });

  it('have no import cycle between files', () => {
    // What is imported as a type is gone when the program runs.
    const values = inside.filter(({ typeOnly }) => !typeOnly);
    const imports = grouped(values, ({ from }) => from);
    expect(cycleIn(FILES, (file) => (imports.get(file) ?? []).map((one) => one.file))).toBeUndefined();
  });

  it('have no import cycle between neighbouring folders', () => {
    // A folder and the folders in it are one neighbourhood: the index of the outer one shows what is within.
    const within = (outer: string, inner: string) => inner === outer || inner.startsWith(`${outer}/`);
    const edges = inside.filter(({ from, file }) => {
      const [here, there] = [folderOf(from), folderOf(file)];
      return !isTest(from) && !within(here, there) && !within(there, here);
    });
    const next = grouped(edges, ({ from }) => folderOf(from));
    const folders = new Set(FILES.map(folderOf));
    expect(cycleIn(folders, (folder) => [...new Set((next.get(folder) ?? []).map(({ file }) => folderOf(file)))])).toBeUndefined();
  });
});

describe('packages', () => {
  it('have one home', () => {
    const offenders = IMPORTS.filter(({ name, from }) => {
      const homes = name.startsWith('.') || name.startsWith('node:') ? undefined : HOMES[packageOf(name)];
      return homes !== undefined && !homes.some((home) => from.startsWith(home));
    });
    expect(offenders.map(shown)).toEqual([]);
  });

  it('are those of package.json', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, string>
    >;
    const foreign = IMPORTS.filter(({ name }) => !name.startsWith('.') && !name.startsWith('node:'));
    const allowed = (one: Import) =>
      packageOf(one.name) in dependencies! ||
      ((isTest(one.from) || one.from.startsWith('bench/')) && packageOf(one.name) in devDependencies!);
    expect(foreign.filter((one) => one.from !== 'vitest.config.ts' && !allowed(one)).map(shown)).toEqual([]);
  });
});

describe('deciders', () => {
  /** Decisions, and what they are made with. */
  const PURE = FILES.filter(
    (file) =>
      !isTest(file) &&
      (/^processors\/[^/]+\/decider\.ts$/.test(file) ||
        file.startsWith('processors/scheduling/') ||
        /^processors\/routing\/(classify|estimate|plan|prompt-versions|signals|vocabulary|json-answer)\.ts$/.test(file) ||
        /^processors\/(decider|draft|effect)\.ts$/.test(file) ||
        /^processors\/materialisation\/[^/]+-view\.ts$/.test(file)),
  );

  it('are found', () => {
    expect(PURE).toContain('processors/routing/decider.ts');
    expect(PURE).toContain('processors/scheduling/decider.ts');
    expect(PURE.length).toBeGreaterThan(12);
  });

  it('see no platform: of node: only hashing', () => {
    const offenders = IMPORTS.filter(({ from, name }) => PURE.includes(from) && name.startsWith('node:') && name !== 'node:crypto').map(
      shown,
    );
    for (const file of PURE) {
      const hashing = /import \{([^}]*)\} from 'node:crypto'/.exec(sources.get(file)!)?.[1];
      if (hashing !== undefined && hashing.trim() !== 'createHash') offenders.push(`${file} imports {${hashing}} of node:crypto`);
    }
    expect(offenders).toEqual([]);
  });

  it('see no clock, no randomness, no promise', () => {
    const forbidden =
      /\b(Date\.now|new Date\(\)|Math\.random|performance\.|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|await |async (?:function|\(|[a-z]+ =>)|newId\()/;
    expect(
      PURE.filter((file) => !/\/(effect|draft)\.ts$/.test(file)).flatMap((file) =>
        forbidden.exec(code(file)) ? [`${file}: ${forbidden.exec(code(file))![0]}`] : [],
      ),
    ).toEqual([]);
  });
});

describe('what the product is made of', () => {
  it('sends no signal to a child that was not started (schemas/kill-child.ts)', () => {
    const ours = FILES.filter((file) => !isTest(file) && file !== 'schemas/kill-child.ts');
    expect(ours.filter((file) => /\bchild\??\.kill\(/.test(code(file)))).toEqual([]);
  });

  it('has no timeouts that AbortSignal.any forgets (schemas/timeout-signal.ts)', () => {
    const product = FILES.filter((file) => !isTest(file) && !file.startsWith('bench/'));
    expect(product.filter((file) => code(file).includes('AbortSignal.timeout('))).toEqual([]);
  });
});

describe('files', () => {
  it(`have at most ${LINES_LIMIT} lines`, () => {
    const long = FILES.filter((file) => !isTest(file)).map((file) => [file, sources.get(file)!.split('\n').length - 1] as const);
    expect(long.filter(([, lines]) => lines > LINES_LIMIT)).toEqual([]);
  });

  it('have kebab-case names, and none is a cupboard', () => {
    const bad = FILES.filter(
      (file) =>
        !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*\.ts$/.test(posix.basename(file)) || /\b(utils?|helpers?|common|manager)\b/.test(file),
    );
    expect(bad).toEqual([]);
  });
});
