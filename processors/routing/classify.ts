// From features to a classification. Pure, total; the same features give the same decision.
//
// C1. `option_tier` wins over every score. C2. All numbers are rounded to three digits, so that they read well in the log.
import { type Analysis, type Domain, type Language, type Mode, TIERS, type Tier } from '../../schemas/index.js';
import { estimateOf, type Throughput } from './estimate.js';
import { countOf, type Features } from './signals.js';

export const SIGNALS = { name: 'signals', version: '1' } as const;

export interface Classification {
  readonly mode: Mode;
  readonly domain: Domain;
  readonly language: Language | undefined;
  readonly complexity: number;
  readonly confidence: number;
  readonly tier: Tier;
  readonly candidates: readonly { readonly tier: Tier; readonly score: number }[];
  readonly estimated_tokens: number;
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));
const round = (value: number): number => Math.round(value * 1000) / 1000;
/** Several hits of one kind count, but each less than the one before. */
const soft = (n: number, most: number): number => most * (1 - 1 / (1 + n / 2));

const LEAD_MODE: Readonly<Record<string, Mode>> = {
  create: 'new_project',
  modify: 'modify',
  fix: 'fix',
  review: 'review',
  document: 'document',
  test: 'test',
};
const LEAD_WEIGHT = 4;
/** Who brings code along wants it changed, even where the task says "make" or "write". */
const CODE: ReadonlySet<unknown> = new Set(['python', 'typescript', 'javascript']);
const MODE_ORDER: readonly Mode[] = ['new_project', 'modify', 'fix', 'review', 'document', 'test'];

const modeOf = (features: Features): { mode: Mode; margin: number } => {
  const files = countOf(features, 'files') > 0;
  const scores = [
    countOf(features, 'create') + (files ? 0 : 1),
    countOf(features, 'modify') + (files ? 1.5 : 0),
    countOf(features, 'fix'),
    countOf(features, 'review'),
    countOf(features, 'document') * 0.5,
    countOf(features, 'test') * 0.5,
  ];
  const lead = typeof features.lead === 'string' ? LEAD_MODE[features.lead] : undefined;
  if (lead !== undefined) scores[MODE_ORDER.indexOf(lead)]! += LEAD_WEIGHT;
  let best = 0;
  let second = -1;
  for (let i = 1; i < scores.length; i++) {
    if (scores[i]! > scores[best]!) {
      second = best;
      best = i;
    } else if (second < 0 || scores[i]! > scores[second]!) {
      second = i;
    }
  }
  const top = scores[best]!;
  let mode = MODE_ORDER[best]!;
  if (mode === 'new_project' && CODE.has(features.files_language)) mode = 'modify';
  return { mode, margin: top === 0 ? 0 : (top - scores[second]!) / top };
};

const domainOf = (features: Features, mode: Mode): Domain => {
  if (mode === 'document') return 'docs';
  if (mode === 'test') return 'test';
  let best: Domain = 'general';
  let most = 0;
  for (const domain of ['web', 'data', 'infra'] as const) {
    const n = countOf(features, domain);
    if (n > most) {
      best = domain;
      most = n;
    }
  }
  const code =
    (countOf(features, 'code') + countOf(features, 'concurrency')) * 0.6 +
    countOf(features, 'code_fences') +
    (features.tests_language === undefined ? 0 : 2) +
    (languageIn(features) === undefined ? 0 : 0.5) +
    (mode === 'fix' || mode === 'review' ? 0.5 : 0);
  return code > 0 && code >= most ? 'code' : best;
};

const languageIn = (features: Features): Language | undefined => {
  if (typeof features.tests_language === 'string') return features.tests_language as Language;
  const files = features.files_language;
  let best: Language | undefined;
  let most = 0;
  for (const language of ['python', 'typescript', 'javascript'] as const) {
    const n = countOf(features, language) * 2 + (files === language ? 3 : 0);
    if (n > most) {
      best = language;
      most = n;
    }
  }
  if (best !== undefined) return best;
  if (files === 'json' || files === 'markdown') return files;
  if (countOf(features, 'markdown_words') > 0) return 'markdown';
  return undefined;
};

const complexityOf = (features: Features, mode: Mode): number => {
  const words = countOf(features, 'words');
  const size = features.unread === true ? 0.35 : Math.log2(1 + countOf(features, 'bytes') / 200) * 0.045;
  const steps =
    countOf(features, 'numbered_items') +
    countOf(features, 'bulleted_items') +
    countOf(features, 'and_then') +
    countOf(features, 'sequence') * 0.5;
  const value =
    0.1 +
    size +
    soft(steps, 0.25) +
    soft(countOf(features, 'scope'), 0.3) +
    soft(countOf(features, 'concurrency'), 0.25) +
    soft(countOf(features, 'security'), 0.2) +
    soft(countOf(features, 'performance'), 0.12) +
    soft(countOf(features, 'infra'), 0.1) +
    Math.log2(1 + countOf(features, 'files')) * 0.04 +
    Math.log2(1 + countOf(features, 'files_bytes') / 4096) * 0.03 +
    Math.log2(1 + countOf(features, 'inputs')) * 0.03 -
    (words < 80 ? soft(countOf(features, 'simple'), 0.15) : 0) -
    (mode === 'document' ? 0.05 : 0);
  return clamp(value);
};

const confidenceOf = (features: Features, modeMargin: number, tierMargin: number, language: Language | undefined): number => {
  if (features.unread === true) return 0.3;
  const words = countOf(features, 'words');
  const value =
    0.4 +
    (features.lead === undefined ? -0.1 : 0.15) +
    modeMargin * 0.1 +
    tierMargin * 0.2 +
    (language === undefined ? 0 : 0.1) +
    (features.tests_language === undefined ? 0 : 0.15) +
    (countOf(features, 'code') > 0 ? 0.05 : 0) -
    soft(countOf(features, 'vague'), 0.4) -
    (words < 4 ? 0.25 : words < 7 ? 0.08 : 0) -
    (countOf(features, 'scope') > 0 && words < 30 ? 0.12 : 0) -
    (features.scanned_chars === undefined ? 0 : 0.1);
  return clamp(value);
};

/** Where on the scale of complexity a tier is at its best, and how far its reach is. */
const PEAKS: Readonly<Record<Tier, number>> = { small: 0.2, medium: 0.5, large: 0.85 };
const REACH = 0.5;

/** How well each tier fits a complexity, best first. */
export const candidatesFor = (complexity: number): Classification['candidates'] =>
  TIERS.map((tier) => ({
    tier,
    score: round(clamp(1 - Math.abs((tier === 'small' ? Math.max(complexity, PEAKS.small) : complexity) - PEAKS[tier]) / REACH)),
  })).sort((a, b) => b.score - a.score);

/** Tokens of prompt and answer together, by sizes and complexity. */
export const tokensFor = (features: Features, complexity: number): number => {
  const read = (countOf(features, 'bytes') + countOf(features, 'files_bytes')) / 4 + countOf(features, 'inputs') * 500 + 300;
  return Math.round(read + 150 + 3500 * complexity * complexity);
};

export const classify = (features: Features): Classification => {
  const { mode, margin } = modeOf(features);
  const language = languageIn(features);
  const complexity = complexityOf(features, mode);
  const candidates = candidatesFor(complexity);
  const tier = TIERS.find((name) => name === features.option_tier) ?? candidates[0]!.tier;
  const confidence = confidenceOf(features, margin, candidates[0]!.score - candidates[1]!.score, language);
  return {
    mode,
    domain: domainOf(features, mode),
    language,
    complexity: round(complexity),
    confidence: round(confidence),
    tier,
    candidates,
    estimated_tokens: tokensFor(features, complexity),
  };
};

/** The analysis that an event records. `at`: milliseconds since the epoch from which the completion is estimated. */
export const analysisOf = (
  made: Classification,
  features: Features,
  at: number,
  analyser: Analysis['analyser'] = SIGNALS,
  throughput?: Throughput,
): Analysis => ({
  mode: made.mode,
  domain: made.domain,
  tier: made.tier,
  ...(made.language === undefined ? {} : { language: made.language }),
  complexity: made.complexity,
  confidence: made.confidence,
  estimated_tokens: made.estimated_tokens,
  ...estimateOf(made.tier, made.estimated_tokens, at, throughput),
  analyser,
  features,
  candidates: [...made.candidates],
});
