import canonicalize from 'canonicalize';
import { describe, expect, test } from 'vitest';
import { decode, encode, Fault, statementSchema } from '../../schemas/index.js';
import { bundleOf, statementsOf, verifyBundle } from './bundle.js';
import { provenanceStatement } from './provenance-statement.js';
import { recordOf } from './record.js';
import { CLEAN, standingsOf } from './standing.js';
import { testResultStatement } from './test-result-statement.js';
import { at, generation, inline, sayings, sha256Of } from './testing/generation.js';
import { testSigner } from './testing/signer.js';

const signer = testSigner();
const input = generation({ task: 't-0', offset: 100, path: 'src/text.py', text: 'TEXT = 1\n' });
const made = generation({ consumed: [input.ref] });
const record = recordOf(2, made.all, made.artifact.artifact_id);
const bundle = (standing = CLEAN) => bundleOf(statementsOf(record, {}, standing), signer);

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
  return 'no fault';
};

describe('the record of a generation', () => {
  test('holds the attempt that made the artifact, and the worker whose output it is', () => {
    const taskId = made.task;
    const before = at(-1, 'dats.task.started', taskId, { task_id: taskId, attempt: 1, node: 'lost', worker: 'lost:1', fence: '0-3' });
    const later = at(9, 'dats.task.ready', taskId, { ...made.ready.event.data, attempt: 2 });
    const found = recordOf(2, [before, ...made.all, later], made.artifact.artifact_id);
    expect([found.started?.event.data.node, found.ready.offset]).toEqual(['n1', 1]);
  });
  test('is not accepted by the completion of another attempt', () => {
    const { completed, ...rest } = made;
    const other = at(5, 'dats.task.completed', made.task, { ...completed.event.data, attempt: 2 });
    const events = [...rest.all.filter(({ offset }) => offset !== 5), other];
    expect(recordOf(2, events, made.artifact.artifact_id).completed).toBeUndefined();
  });
  test('is refused where the log lacks an event', () => {
    for (const type of ['dats.task.created', 'dats.task.ready', 'dats.task.output.created'])
      expect(
        codeOf(() =>
          recordOf(
            2,
            made.all.filter(({ event }) => event.type !== type),
            made.artifact.artifact_id,
          ),
        ),
      ).toBe('event_missing');
  });
});

describe('the provenance statement', () => {
  const statement = provenanceStatement(record, {}, CLEAN);
  const predicate = statement.predicate as {
    buildDefinition: { externalParameters: object; internalParameters: object; resolvedDependencies: { uri: string; digest?: object }[] };
    runDetails: { metadata: object; byproducts: { name: string; digest: { sha256: string }; annotations: object }[] };
  };

  test('is about the file by path and digest', () => {
    statementSchema.parse(statement);
    expect(statement.subject).toEqual([
      {
        name: 'src/slug.py',
        uri: `urn:dats:artifact:${made.artifact.artifact_id}`,
        digest: { sha256: sha256Of('def slugify(text): ...\n') },
      },
    ]);
  });
  test('says when, by whom and from what', () => {
    expect(predicate.runDetails.metadata).toEqual({
      invocationId: `urn:dats:execution:${made.completed.event.data.provenance_id}`,
      startedOn: '2026-11-26T10:00:02.000Z',
      finishedOn: '2026-11-26T10:00:03.000Z',
    });
    expect(predicate.buildDefinition.externalParameters).toMatchObject({
      taskId: 't-1',
      submittedBy: 'ada',
      tests: { code: { sha256: sha256Of('assert True') } },
    });
    expect(predicate.buildDefinition.internalParameters).toMatchObject({
      node: 'n1',
      model: 'qwen3:8b',
      configVersion: 'c0ffee',
      scripted: false,
    });
    expect(predicate.buildDefinition.resolvedDependencies).toMatchObject([
      { digest: { sha256: sha256Of('the prompt') } },
      { uri: 'urn:dats:model:ollama/qwen3%3A8b', digest: { sha256: sha256Of('the build of the model') } },
      { name: 'src/text.py', uri: `urn:dats:artifact:${input.artifact.artifact_id}`, digest: { sha256: input.artifact.sha256 } },
      { name: 'notes/style.md', digest: { sha256: sha256Of('be brief') } },
    ]);
  });
  test('names its events by position, and by the digest of what they say', () => {
    expect(predicate.runDetails.byproducts.map(({ name }) => name)).toEqual(made.all.map(({ event }) => event.type));
    expect(predicate.runDetails.byproducts[3]).toMatchObject({
      digest: { sha256: sha256Of(canonicalize(made.output.event)!) },
      annotations: { partition: 2, offset: 3 },
    });
  });
  test('gives an event the same digest for whoever reads it from the log', () => {
    for (const { event } of made.all) {
      const { headers, value } = encode(event);
      expect(canonicalize(decode(headers, value))).toBe(canonicalize(event));
    }
  });
  test('holds no content: no description, no file, no test', () => {
    for (const text of ['Write slugify', 'be brief', 'assert True', 'def slugify']) expect(JSON.stringify(statement)).not.toContain(text);
  });
  test('gives the model no digest where its build is no digest', () => {
    const other = generation({ output: { model_digest: 'build 7' } });
    const { predicate: said } = provenanceStatement(recordOf(2, other.all, other.artifact.artifact_id), {}, CLEAN);
    expect(said).toMatchObject({ buildDefinition: { internalParameters: { modelBuild: 'build 7' } } });
    expect((said as typeof predicate).buildDefinition.resolvedDependencies[1]).not.toHaveProperty('digest');
  });
  test('of a subtask names the plan, and the files and the submitter of what it is part of', () => {
    const parent = generation({
      task: 't-p',
      offset: 50,
      created: { submitted_by: 'grace', files: [{ path: 'spec.md', ...inline('the spec') }] },
    });
    const plan = at(55, 'dats.task.decomposed', 't-p', {
      task_id: 't-p',
      children: [{ task_id: 't-1', title: 'one', description: inline('one'), depends_on: [] }],
      planner: { name: 'list', version: '3' },
    });
    const sub = generation({ created: { submitted_by: 'scheduling', files: [] } });
    const said = provenanceStatement(recordOf(2, sub.all, sub.artifact.artifact_id), { plan, parent: parent.created }, CLEAN).predicate;
    expect(said).toMatchObject({
      buildDefinition: {
        externalParameters: { submittedBy: 'grace', parent: { taskId: 't-p' } },
        internalParameters: { plannedBy: { name: 'list', version: '3' } },
      },
    });
    expect((said as typeof predicate).buildDefinition.resolvedDependencies.at(-1)).toMatchObject({
      name: 'spec.md',
      digest: { sha256: sha256Of('the spec') },
    });
  });
});

describe('the test result', () => {
  const resultOf = (checks: NonNullable<Parameters<typeof generation>[0]>['checks'] & object) => {
    const other = generation({ checks });
    return testResultStatement(recordOf(2, other.all, other.artifact.artifact_id), CLEAN)?.predicate;
  };
  test('lists what passed, with the profile and the digest of the tests', () => {
    expect(testResultStatement(record, CLEAN)?.predicate).toMatchObject({
      result: 'PASSED',
      configuration: [{ uri: 'urn:dats:qa-profile:tests' }, { digest: { sha256: sha256Of('assert True') } }],
      passedTests: ['syntax:python', 'tests:python'],
      failedTests: [],
    });
  });
  test('says that something was skipped', () => {
    const checks = [
      { name: 'a', status: 'passed' as const, duration_ms: 1 },
      { name: 'b', status: 'skipped' as const, duration_ms: 0 },
    ];
    expect(resultOf(checks)).toMatchObject({ result: 'WARNED', passedTests: ['a'], warnedTests: ['b'] });
  });
  test('is not there where nothing was checked', () => {
    expect(resultOf([])).toBeUndefined();
  });
});

describe('a bundle', () => {
  test('is the same for the same artifact, byte by byte', () => {
    expect(bundle()).toBe(bundle());
    expect(bundle().split('\n')).toHaveLength(3);
  });
  test('is verified with the public key and the bytes of the file alone', () => {
    const seen = verifyBundle(bundle(), signer.publicKeyPem, Buffer.from('def slugify(text): ...\n'));
    expect(seen.statements.map(({ predicateType }) => predicateType)).toEqual([
      'https://slsa.dev/provenance/v1',
      'https://in-toto.io/attestation/test-result/v0.1',
    ]);
    expect([seen.foreign, seen.warnings]).toEqual([0, []]);
  });
  test('of a tainted artifact says so in every statement', () => {
    const tainted = standingsOf([sayings(made.artifact, made.task).tainted(20, 'c1')], [made.artifact.artifact_id]).get(
      made.artifact.artifact_id,
    )!;
    expect(verifyBundle(bundle(tainted), signer.publicKeyPem).warnings).toMatchObject(
      Array(2).fill({ mark: 'tainted', said: [{ by: 'c1', offset: 20 }] }),
    );
    const [, tests] = bundle(tainted).split('\n');
    expect(Buffer.from(JSON.parse(tests!).payload, 'base64').toString()).toContain('"mark":"tainted"');
  });
  test('of other bytes, of another key, changed, or empty is refused', () => {
    const pem = signer.publicKeyPem;
    expect(codeOf(() => verifyBundle(bundle(), pem, Buffer.from('other')))).toBe('other_artifact');
    expect(codeOf(() => verifyBundle(bundle(), testSigner('another').publicKeyPem))).toBe('no_attestation');
    expect(codeOf(() => verifyBundle('', pem))).toBe('no_attestation');
    expect(codeOf(() => verifyBundle('not json\n', pem))).toBe('no_attestation');
    const [line] = bundle().split('\n');
    const envelope = JSON.parse(line!);
    const payload = Buffer.from(Buffer.from(envelope.payload, 'base64').toString().replace('qwen3', 'qwen4')).toString('base64');
    expect(codeOf(() => verifyBundle(JSON.stringify({ ...envelope, payload }), pem))).toBe('no_attestation');
  });
  test('may hold lines of others, and one envelope may be spread over lines', () => {
    const others = bundleOf(statementsOf(record, {}, CLEAN), testSigner('another'));
    expect(verifyBundle(`${others}junk\n${bundle()}`, signer.publicKeyPem)).toMatchObject({ foreign: 3, statements: [{}, {}] });
    const [line] = bundle().split('\n');
    expect(verifyBundle(JSON.stringify(JSON.parse(line!), null, 2), signer.publicKeyPem).statements).toHaveLength(1);
  });
  test('without its provenance proves nothing', () => {
    const [, tests] = bundle().split('\n');
    expect(codeOf(() => verifyBundle(tests!, signer.publicKeyPem))).toBe('no_attestation');
  });
});
