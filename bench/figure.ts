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
  /** Told beside it with their ratios, and not judged. */
  readonly beside?: readonly PeerFigure[];
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

const besides = ({ peer, beside = [] }: Figure): readonly PeerFigure[] => (peer === undefined ? beside : [peer, ...beside]);

/** The columns of a figure: id, what, ours, target, peers, ratios, verdict, note. */
export const columnsOf = (figure: Figure): readonly string[] => {
  const peers = besides(figure);
  const met = isMet(figure);
  return [
    figure.id,
    figure.what,
    `${short(figure.value)} ${figure.unit}`,
    targetText(figure),
    peers.map(({ name, version, setting, value }) => `${name} ${version} (${setting}) ${short(value)} ${figure.unit}`).join('; ') ||
      'no peer',
    peers.length === 0 ? '-' : `ratio ${peers.map(({ value }) => (figure.value / value).toFixed(2)).join('; ')}`,
    met === undefined ? 'for information' : met ? 'met' : 'NOT MET',
    figure.note ?? '',
  ];
};

export const lineOf = (figure: Figure): string =>
  columnsOf(figure)
    .filter((column) => column !== '')
    .join(' | ');
