// What the checks of the accepted attempt said, as an in-toto test result. Pure.
//
// T1. Where nothing was checked there is no statement. T2. What was skipped did not pass: it is listed under `warnedTests`, and the result is WARNED.
import type { Resource, Statement } from '../../schemas/index.js';
import { urn } from './names.js';
import type { GenerationRecord } from './record.js';
import type { Standing } from './standing.js';
import { statementAbout } from './subject.js';

export const TEST_RESULT_TYPE = 'https://in-toto.io/attestation/test-result/v0.1';

const configuration = ({ created, validated }: GenerationRecord): Resource[] => {
  const { profile, score, attempt } = validated!.event.data;
  const { tests } = created.event.data;
  return [
    {
      name: `qa profile ${profile}`,
      uri: urn('qa-profile', profile),
      annotations: { score, attempt, event: urn('event', validated!.event.id) },
    },
    ...(tests === undefined
      ? []
      : [{ name: tests.path ?? 'tests', uri: urn('content', tests.code.sha256), digest: { sha256: tests.code.sha256 } }]),
  ];
};

/** Undefined where nothing was checked (T1). */
export const testResultStatement = (record: GenerationRecord, standing: Standing): Statement | undefined => {
  const checks = record.validated?.event.data.checks ?? [];
  if (checks.length === 0) return undefined;
  const named = (status: string) => checks.filter((check) => check.status === status).map(({ name }) => name);
  const [passedTests, warnedTests, failedTests] = [named('passed'), named('skipped'), named('failed')];
  return statementAbout(record.artifact, standing, TEST_RESULT_TYPE, {
    result: failedTests.length > 0 ? 'FAILED' : warnedTests.length > 0 ? 'WARNED' : 'PASSED',
    configuration: configuration(record),
    passedTests,
    warnedTests,
    failedTests,
  });
};
