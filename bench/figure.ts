// One measured figure and its line. Targets are those of the project's specification; timing never decides a test.

export interface PeerFigure {
  readonly name: string;
  readonly version: string;
  /** How durable, and whatever else its figure depends on. */
  readonly setting: string;
  readonly value: number;
}

export interface Figure {
  readonly id: string;
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Bound of the value, or, with a peer, of the ratio ours / peer's; undefined: told only, no target. */
  readonly target?: { readonly at: 'least' | 'most'; readonly bound: number };
  readonly peer?: PeerFigure;
  readonly note?: string;
}

export const ratioOf = ({ value, peer }: Figure): number | undefined => (peer === undefined ? undefined : value / peer.value);

/** Undefined where there is no target. */
export const isMet = (figure: Figure): boolean | undefined => {
  if (figure.target === undefined) return undefined;
  const { at, bound } = figure.target;
  const judged = ratioOf(figure) ?? figure.value;
  return at === 'least' ? judged >= bound : judged <= bound;
};

const short = (value: number): string =>
  Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));

const targetText = (figure: Figure): string => {
  if (figure.target === undefined) return 'no target';
  const { at, bound } = figure.target;
  return `target ${at === 'least' ? '>=' : '<='} ${short(bound)} ${figure.peer === undefined ? figure.unit : `x ${figure.peer.name}`}`;
};

/** The columns of a figure: id, what, ours, target, peer, ratio, verdict, note. */
export const columnsOf = (figure: Figure): readonly string[] => {
  const { peer } = figure;
  const ratio = ratioOf(figure);
  const met = isMet(figure);
  return [
    figure.id,
    figure.what,
    `${short(figure.value)} ${figure.unit}`,
    targetText(figure),
    peer === undefined ? 'no peer' : `${peer.name} ${peer.version} (${peer.setting}) ${short(peer.value)} ${figure.unit}`,
    ratio === undefined ? '-' : `ratio ${ratio.toFixed(2)}`,
    met === undefined ? 'for information' : met ? 'met' : 'NOT MET',
    figure.note ?? '',
  ];
};

export const lineOf = (figure: Figure): string =>
  columnsOf(figure)
    .filter((column) => column !== '')
    .join(' | ');
