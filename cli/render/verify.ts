// The audit of a project as lines: how much was compared, and what differs by name.
import type { RowDifference, TableCount, VerifyReport, ViewDifference } from '../../schemas/index.js';
import { type Colours, plain } from './colours.js';
import { plural } from './said.js';
import { duration, oneLine } from './text.js';

const inset = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);
const value = (text: string | null): string => (text === null ? 'nothing' : oneLine(text));

const viewLine = ({ collection, id, what, place, expected, found }: ViewDifference): string => {
  const name = `${collection} ${oneLine(id)}`;
  switch (what) {
    case 'missing':
      return `${name} is missing`;
    case 'extra':
      return place === '' ? `${name} is there, and no event made it` : `${name} is listed where it should not be: ${oneLine(place ?? '')}`;
    case 'unlisted':
      return `${name} is not listed under ${oneLine(place ?? '')}`;
    case 'changed':
      return `${name}${place === '' || place === null ? '' : ` at ${oneLine(place)}`}: must be ${value(expected)}, is ${value(found)}`;
  }
};

const rowLine = ({ partition, offset, type, what, column, expected, found }: RowDifference): string => {
  const name = `p${partition}-${offset} ${oneLine(type)}`;
  switch (what) {
    case 'missing':
      return `${name} has no row`;
    case 'extra':
      return `${name} is a row, and no record of the log`;
    case 'doubled':
      return `${name} is there more than once`;
    case 'changed':
      return `${name}, column ${column}: must be ${value(expected)}, is ${value(found)}`;
  }
};

const tableLine = ({ table, expected, found }: TableCount): string =>
  `${table}: must have ${expected.toLocaleString('en')}, has ${found.toLocaleString('en')}`;

const more = (all: number, named: number): readonly string[] => (all > named ? [`… and ${(all - named).toLocaleString('en')} more`] : []);

const viewLines = ({ views }: VerifyReport, colours: Colours): readonly string[] => {
  if (views.why_not !== null) return [colours.red(`documents were not compared: ${oneLine(views.why_not)}`)];
  if (views.differences === 0) return [colours.green(`${plural(views.documents, 'document')} equal to the byte`)];
  return [
    colours.red(`${plural(views.differences, 'difference')} in ${plural(views.documents, 'document')}`),
    ...inset([...views.different.map(viewLine), ...more(views.differences, views.different.length)]),
  ];
};

const historyLines = ({ history }: VerifyReport, colours: Colours): readonly string[] => {
  if (history.state === 'off') return [`history was not compared: ${oneLine(history.why_not ?? '')}`];
  if (history.state === 'unavailable') return [colours.red(`history was not compared: ${oneLine(history.why_not ?? '')}`)];
  const rows = `${plural(history.rows, 'row')} of history`;
  if (history.differences === 0) return [colours.green(`${rows} equal, and the ${plural(history.tables.length, 'table')} made of them`)];
  const wrong = history.tables.filter(({ expected, found }) => expected !== found);
  return [
    colours.red(`${plural(history.differences, 'difference')} in ${rows}`),
    ...inset([
      ...history.different.map(rowLine),
      ...more(history.differences, history.different.length + wrong.length),
      ...wrong.map(tableLine),
    ]),
  ];
};

/** What it says of a project. */
export const verifyLines = (report: VerifyReport, colours: Colours = plain): readonly string[] => [
  `${plural(report.events, 'event')} folded`,
  ...viewLines(report, colours),
  ...historyLines(report, colours),
];

/** Beside it: how far it was compared, what was left out, and how long that took. */
export const verifyNotes = ({ views, history, partition, took_ms, events_per_second }: VerifyReport): readonly string[] => [
  ...(history.state === 'compared' && history.up_to < views.up_to
    ? [`history is behind the log: compared up to p${partition}-${history.up_to}, documents up to p${partition}-${views.up_to}`]
    : []),
  ...history.not_compared.map((what) => `not compared: ${oneLine(what)}`),
  `took ${duration(took_ms)}; folded ${events_per_second.toLocaleString('en')} events a second`,
];
