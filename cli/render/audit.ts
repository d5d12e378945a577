// What verifying a history found, its checkpoints, and proofs, as lines.
import type { AuditCheckpoints, AuditProblem, AuditProof, AuditReport } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { plural } from './said.js';
import { table } from './table.js';
import { oneLine } from './text.js';

/** By the offset of an event. */
export type AuditPlaces = ReadonlyMap<number, { readonly position: string; readonly task?: string }>;

export interface AuditFindings {
  readonly report: AuditReport;
  readonly places: AuditPlaces;
  readonly unreadable: readonly string[];
}

/** Room for the longest name of a problem but one, which is seldom. */
const KIND_WIDTH = 'BAD SIGNATURE'.length;

const line = (kind: string, text: string, colours: Colours): string =>
  `${colours.red(kind.toUpperCase().replaceAll('_', ' ').padEnd(KIND_WIDTH))}  ${text}`;

const problemText = ({ message, offset }: AuditProblem, places: AuditPlaces): string => {
  const place = offset === undefined ? undefined : places.get(offset);
  const text = oneLine(message);
  if (place === undefined) return text;
  return `${place.position}: ${text}${place.task === undefined ? '' : ` (task ${oneLine(place.task)})`}`;
};

const newest = ({ size, root, checkpoints }: AuditReport): string =>
  size === 0
    ? 'no checkpoint is verified'
    : `${plural(checkpoints.verified, 'checkpoint')}, newest covers ${size.toLocaleString('en')}, root ${root}`;

const verdict = ({ report, unreadable }: AuditFindings, colours: Colours): string => {
  const { events, covered, problems_total: problems, size } = report;
  const head = `${plural(events, 'event')} of project ${oneLine(report.project_id)}`;
  const wrong = problems + unreadable.length;
  if (wrong > 0)
    return colours.red(`${head}: ${covered.toLocaleString('en')} as they were signed, ${plural(wrong, 'problem')} (${newest(report)})`);
  if (size === 0) return colours.yellow(`${head}: nothing is proven, there is no checkpoint yet`);
  const what = covered === events ? 'all' : covered.toLocaleString('en');
  return colours.green(`${head}: ${what} as they were signed (${newest(report)})`);
};

/** Problems, each by its name, then the verdict. */
export const auditLines = (findings: AuditFindings, colours: Colours = plain): readonly string[] => {
  const { report, places, unreadable } = findings;
  const more = report.problems_total - report.problems.length;
  return [
    ...unreadable.map((text) => line('unreadable', oneLine(text), colours)),
    ...report.problems.map((problem) => line(problem.kind, problemText(problem, places), colours)),
    ...(more > 0 ? [`… and ${more.toLocaleString('en')} more`] : []),
    verdict(findings, colours),
    ...(report.uncovered > 0 && report.size > 0
      ? [
          `${plural(report.uncovered, 'event')} after the newest checkpoint: nothing is proven of ${report.uncovered === 1 ? 'it' : 'them'} yet`,
        ]
      : []),
  ];
};

/** K1 of commands/audit-key.ts. @param from whose word it is that the key is right */
export const keyLine = (vkey: string, from: string): string => `key ${oneLine(vkey)} (${oneLine(from)})`;

export const checkpointTable = ({ checkpoints }: AuditCheckpoints, colours: Colours = plain): readonly string[] =>
  table(
    checkpoints,
    [
      { heading: 'size', cell: ({ size }) => size },
      { heading: 'signed at', cell: ({ time }) => time },
      { heading: 'root', cell: ({ root }) => root },
      { heading: 'covers since', cell: ({ from, to }) => `offset ${from} to ${to}` },
    ],
    colours,
  );

/** Of a proof that holds. @param origin first line of the checkpoint; size the leaves under it */
export const proofLines = ({ events }: AuditProof, origin: string, size: number, colours: Colours = plain): readonly string[] =>
  events.map(({ offset, leaf, headers }) => {
    const name = `${oneLine(headers.type ?? 'a record without type')} ${oneLine(headers.id ?? '')}`;
    return `${colours.green('proven')}  ${name} at offset ${offset}: leaf ${leaf} of ${size}, signed as ${oneLine(origin)}`;
  });
