// RESULTS.md: the figures of a run as a table, in the order of their ids.
import { columnsOf, type Figure } from './figure.js';

const HEAD = ['#', 'what', 'ours', 'target', 'peer', 'ratio', 'verdict', 'notes'];
const rowOf = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** `machine` is the line that closes the run; `remarks` are what a reader has to know besides. */
export const resultsPage = (figures: readonly Figure[], machine: string, remarks: readonly string[]): string => {
  const sorted = [...figures].sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
  const table = [rowOf(HEAD), rowOf(HEAD.map(() => '---')), ...sorted.map((figure) => rowOf(columnsOf(figure)))];
  return [
    '# Results of the last run',
    '',
    machine.replaceAll(' | ', '; '),
    ...remarks.flatMap((remark) => ['', remark]),
    '',
    ...table,
    '',
  ].join('\n');
};
