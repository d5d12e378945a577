// Were published schemas left as they were? Compares schemas/published with the last state that others may have: each file that was there then is there
// now and says the same (formatting aside). Whether new ones are compatible is asked of a registry, in streams/kafka/schemas-compatibility.int.test.ts.
// Usage: node .ci/schema-compatibility.mjs [base]. Default base: where this branch left the main branch of origin, else the commit before this one.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const FOLDER = 'schemas/published';
const GIT_LIMIT_MS = 30_000;

const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: GIT_LIMIT_MS }).trim();
/** Undefined where git refuses. */
const asked = (...args) => {
  try {
    return git(...args);
  } catch (error) {
    if (error.code === 'ENOENT') fail('git is not installed, which this check needs: install it.');
    return undefined;
  }
};
const fail = (...lines) => {
  for (const line of lines) console.error(line);
  process.exit(1);
};

const baseOf = (given) => {
  if (given !== undefined) {
    const base = asked('rev-parse', '--verify', '--quiet', `${given}^{commit}`);
    return base ?? fail(`there is no commit ${given} here; fetch it (git fetch origin), or give another.`);
  }
  const head = asked('rev-parse', '--verify', '--quiet', 'HEAD');
  if (head === undefined) return undefined;
  const main = ['origin/HEAD', 'origin/main', 'origin/master']
    .map((name) => asked('merge-base', 'HEAD', name))
    .find((base) => base !== undefined);
  if (main !== undefined && main !== head) return main;
  const before = asked('rev-parse', '--verify', '--quiet', 'HEAD~1');
  if (before === undefined && asked('rev-parse', '--is-shallow-repository') === 'true')
    fail(
      'the history is not here (a shallow clone): fetch at least one commit more (git fetch --deepen=1; in GitHub Actions "fetch-depth: 0").',
    );
  return before;
};

const meaning = (text) => JSON.stringify(JSON.parse(text));
const problemOf = (base, path) => {
  if (!existsSync(path))
    return `${path} was deleted: records of that version are read for ever. Restore it: git restore --source ${base} ${path}`;
  if (meaning(git('show', `${base}:${path}`)) === meaning(readFileSync(path, 'utf8'))) return undefined;
  return `${path} was changed: a published version stays as it is. Restore it (git restore --source ${base} ${path}), and give the type a new version in EVENTS of schemas/registry.ts`;
};

if (asked('rev-parse', '--is-inside-work-tree') !== 'true')
  fail('this is no git repository: what was published before cannot be known. Run it in a clone.');
const base = baseOf(process.argv[2]);
if (base === undefined) {
  console.log('the first commit: no schema was published before.');
  process.exit(0);
}
const published = git('ls-tree', '-r', '--name-only', base, '--', FOLDER)
  .split('\n')
  .filter((path) => path.endsWith('.json'));
const problems = published.flatMap((path) => problemOf(base, path) ?? []);
if (problems.length > 0) fail(...problems);
console.log(`${published.length} schemas of ${base.slice(0, 12)} are as they were.`);
