// What libraries of others make of our attestations and PROV documents: securesystemslib (DSSE), in-toto's own schemas, and the prov package.
//
// Where CI is set, a Python without these packages fails the run. Elsewhere the tests are skipped, and their name says why.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { ProvDocument } from '../../schemas/index.js';
import { bundleOf, statementsOf } from './bundle.js';
import { preAuthEncoding } from './dsse.js';
import { provDocumentOf } from './prov.js';
import { recordOf } from './record.js';
import { CLEAN, type Standing, standingsOf } from './standing.js';
import { generation, sayings } from './testing/generation.js';
import { testSigner } from './testing/signer.js';

const PYTHON = process.env['DATS_ATTESTATION_PYTHON'] ?? 'python3';
const script = (name: string): string => fileURLToPath(new URL(`./testing/${name}`, import.meta.url));
const inCi = (process.env['CI'] ?? '') !== '' && process.env['CI'] !== 'false';

/** Why the packages cannot be used here; undefined where they can. */
const missing = (): string | undefined => {
  const { status, error, stderr } = spawnSync(
    PYTHON,
    ['-c', 'import securesystemslib.dsse, in_toto_attestation, prov.model, cryptography'],
    {
      encoding: 'utf8',
    },
  );
  if (status === 0) return undefined;
  return `${PYTHON}: ${error?.message ?? stderr.trim().split('\n').at(-1)}; pip install -r ${script('requirements.txt')} into a venv, and name its Python in DATS_ATTESTATION_PYTHON`;
};
const why = missing();
if (why !== undefined && inCi) throw new Error(`the independent readers cannot be had, and CI must have them: ${why}`);

interface Understood {
  readonly attestations: readonly {
    readonly keyid: string;
    readonly pae: string;
    readonly predicateType: string;
    readonly subject: readonly { readonly name: string; readonly sha256: string }[];
    readonly predicate: object;
  }[];
  readonly prov: { readonly records: Readonly<Record<string, number>>; readonly provn: string };
}

const signer = testSigner();
const read = (bundle: string, prov: ProvDocument, key = signer.publicKeyPem): Understood => {
  const input = JSON.stringify({ bundle, key, prov });
  return JSON.parse(execFileSync(PYTHON, [script('verify.py')], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] }));
};

const old = generation({ task: 't-0', text: 'v1' });
const made = generation({ task: 't-1', offset: 10, text: 'v2 – ü\n', consumed: [old.ref] });
const record = recordOf(0, made.all, made.artifact.artifact_id);
const say = sayings(made.artifact, made.task);
const bad = standingsOf([say.tainted(30, 'c1'), say.reverted(31, 'r1')], [made.artifact.artifact_id]).get(made.artifact.artifact_id)!;

const bundle = (standing: Standing = CLEAN) => bundleOf(statementsOf(record, {}, standing), signer);
const prov = (standing: Standing = CLEAN) =>
  provDocumentOf(
    [made, old].map(({ artifact, output, created }) => ({
      artifact,
      output,
      created,
      parent: undefined,
      submittedBy: 'ada@example.org',
      standing: artifact === made.artifact ? standing : CLEAN,
    })),
  );

const suite = why === undefined ? describe : describe.skip;
suite(why === undefined ? 'independent readers' : `independent readers (skipped: ${why})`, () => {
  test('securesystemslib verifies the envelopes, and encodes what is signed as we do', () => {
    const { attestations } = read(bundle(), prov());
    expect(attestations.map(({ keyid }) => keyid)).toEqual([signer.keyId, signer.keyId]);
    for (const [i, line] of bundle().trimEnd().split('\n').entries()) {
      const { payload, payloadType } = JSON.parse(line) as { payload: string; payloadType: string };
      expect(attestations[i]!.pae).toBe(Buffer.from(preAuthEncoding(payloadType, Buffer.from(payload, 'base64'))).toString());
    }
  });

  test("the statements fit in-toto's own schemas, field by field", () => {
    const { attestations } = read(bundle(), prov());
    const subject = [{ name: made.artifact.path, sha256: made.artifact.sha256 }];
    expect(attestations).toMatchObject([
      {
        predicateType: 'https://slsa.dev/provenance/v1',
        subject,
        predicate: {
          buildDefinition: { buildType: 'urn:dats:attestation:generation:v1', externalParameters: { taskId: 't-1' } },
          runDetails: { metadata: { startedOn: '2026-11-26T10:00:12Z', finishedOn: '2026-11-26T10:00:13Z' } },
        },
      },
      {
        predicateType: 'https://in-toto.io/attestation/test-result/v0.1',
        subject,
        predicate: { result: 'PASSED', passedTests: ['syntax:python', 'tests:python'] },
      },
    ]);
    expect(read(bundle(bad), prov()).attestations).toHaveLength(2);
  });

  test('a changed payload and another key are refused', () => {
    const lines = bundle().trimEnd().split('\n');
    const changed = lines.map((line) => {
      const envelope = JSON.parse(line) as { payload: string };
      const payload = Buffer.from(envelope.payload, 'base64').toString().replace('src/slug.py', 'src/evil.py');
      return JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64') });
    });
    expect(() => read(changed.join('\n'), prov())).toThrow(/VerificationError/);
    expect(() => read(bundle(), prov(), testSigner('another').publicKeyPem)).toThrow(/VerificationError/);
  });

  test('the prov package reads the PROV document, and writes it as PROV-N', () => {
    const { records, provn } = read(bundle(), prov(bad)).prov;
    expect(records).toEqual({
      Entity: 4,
      Activity: 4,
      Agent: 3,
      Usage: 5,
      Generation: 2,
      Derivation: 1,
      Association: 6,
      Invalidation: 2,
    });
    expect(provn).toContain(`wasInvalidatedBy(artifact:${made.artifact.artifact_id}, cascade:c1, 2026-11-26T10:00:30+00:00`);
    expect(provn).toContain('submitter:ada%40example.org');
  });
});
