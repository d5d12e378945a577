import type { Check } from '../check.js';
import { syntaxJson } from './syntax-json.js';
import { syntaxPython } from './syntax-python.js';
import { syntaxJavaScript, syntaxTypeScript } from './syntax-script.js';
import { tests } from './tests.js';

/** Every check, in the order they run. */
export const CHECKS: readonly Check[] = [syntaxJavaScript, syntaxTypeScript, syntaxJson, syntaxPython, tests];
