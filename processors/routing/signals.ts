// Cheap signals: what can be told about a task without a model, in microseconds. Pure.
//
// N1. Everything that `classify` decides from is in the features, so a decision can be made again from the event that recorded it.
// N2. Counts of zero and absent facts are left out. N3. At most SCAN_LIMIT_CHARS of the description are looked at; beyond that only sizes count.
import { type DataOf, type Language, languageOf } from '../../schemas/index.js';
import { countWords, GROUPS } from './vocabulary.js';

/** How much of a description is looked at. */
export const SCAN_LIMIT_CHARS = 8 * 1024;

export type Features = Readonly<Record<string, number | string | boolean>>;

/** What is looked at: a task that was created, or one that somebody asks about. */
export interface Material {
  /** Absent when it is a claim check: then only its size counts. */
  readonly description: string | undefined;
  readonly description_bytes: number;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly inputs: number;
  readonly tests?: { readonly language: string; readonly bytes: number };
  readonly options: DataOf<'dats.task.created'>['options'];
}

export const materialOf = (created: DataOf<'dats.task.created'>): Material => ({
  description: created.description.content,
  description_bytes: created.description.bytes,
  files: created.files,
  inputs: created.inputs.length + created.depends_on.length,
  ...(created.tests === undefined ? {} : { tests: { language: created.tests.language, bytes: created.tests.code.bytes } }),
  options: created.options,
});

const NEWLINE = 10;
const isDigit = (c: number): boolean => c >= 48 && c <= 57;

/** Lists, code fences and questions: what stands at the beginnings of lines. */
const structure = (text: string, end: number, features: Record<string, number | string | boolean>): void => {
  let numbered = 0;
  let bulleted = 0;
  let fences = 0;
  let lines = 0;
  let at = 0;
  while (at < end) {
    lines++;
    let i = at;
    while (i < end && (text.charCodeAt(i) === 32 || text.charCodeAt(i) === 9)) i++;
    const c = text.charCodeAt(i);
    if (c === 96 && text.startsWith('```', i)) fences++;
    else if ((c === 45 || c === 42 || c === 43) && text.charCodeAt(i + 1) === 32) bulleted++;
    else if (isDigit(c)) {
      while (i < end && isDigit(text.charCodeAt(i))) i++;
      const mark = text.charCodeAt(i);
      if ((mark === 46 || mark === 41) && text.charCodeAt(i + 1) === 32) numbered++;
    }
    const newline = text.indexOf('\n', at);
    if (newline < 0 || newline >= end) break;
    at = newline + 1;
  }
  features.lines = lines;
  if (numbered > 0) features.numbered_items = numbered;
  if (bulleted > 0) features.bulleted_items = bulleted;
  if (fences > 0) features.code_fences = fences >> 1 || 1;
  let last = end - 1;
  while (last >= 0 && (text.charCodeAt(last) === 32 || text.charCodeAt(last) === NEWLINE)) last--;
  if (last >= 0 && text.charCodeAt(last) === 63) features.question = true;
};

const fileFeatures = (files: Material['files'], features: Record<string, number | string | boolean>): void => {
  if (files.length === 0) return;
  const byLanguage = new Map<Language, number>();
  let bytes = 0;
  let tests = 0;
  for (const { path, bytes: size } of files) {
    bytes += size;
    const language = languageOf(path);
    byLanguage.set(language, (byLanguage.get(language) ?? 0) + 1);
    if (/(^|[/_.])tests?[/_.]/i.test(path)) tests++;
  }
  let most: Language = 'text';
  let count = 0;
  for (const [language, n] of byLanguage) {
    if (n > count) {
      most = language;
      count = n;
    }
  }
  features.files = files.length;
  features.files_bytes = bytes;
  features.files_language = most;
  if (byLanguage.size > 1) features.files_languages = byLanguage.size;
  if (tests > 0) features.test_files = tests;
};

export const signalsOf = (material: Material): Features => {
  const features: Record<string, number | string | boolean> = { bytes: material.description_bytes };
  const text = material.description;
  if (text === undefined) {
    features.unread = true;
  } else {
    const end = Math.min(text.length, SCAN_LIMIT_CHARS);
    if (end < text.length) features.scanned_chars = end;
    structure(text, end, features);
    const found = countWords(text, end);
    features.words = found.words;
    for (let i = 0; i < GROUPS.length; i++) if (found.counts[i]! > 0) features[GROUPS[i]!] = found.counts[i]!;
    if (found.thens > 0) features.and_then = found.thens;
    if (found.lead >= 0) features.lead = GROUPS[found.lead]!;
  }
  fileFeatures(material.files, features);
  if (material.inputs > 0) features.inputs = material.inputs;
  if (material.tests !== undefined) {
    features.tests_language = material.tests.language;
    features.tests_bytes = material.tests.bytes;
  }
  if (material.options.tier !== undefined) features.option_tier = material.options.tier;
  if (material.options.model !== undefined) features.option_model = true;
  return features;
};

export const countOf = (features: Features, name: string): number => {
  const value = features[name];
  return typeof value === 'number' ? value : 0;
};
