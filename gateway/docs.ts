// The readable page, rendered on the server from the OpenAPI document. No script, nothing from elsewhere.
import type { Json, OpenApi, Operation } from './openapi.js';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ESCAPES[char]!);

/** Escaped text with `code` marked. */
const prose = (text: string): string => escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>');
const block = (value: unknown): string => `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;

const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:3rem;border-bottom:1px solid #8886}h3{margin-top:2rem}code,pre{font-family:ui-monospace,monospace;font-size:.9em}
pre{overflow:auto;padding:.75rem;background:#8881;border-radius:.4rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8883}.method{font-weight:700}
nav ul{columns:2}nav li{list-style:none}summary{cursor:pointer}`;

/** A whole page around `body`. */
export const page = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>${body}</body></html>`;

const typeOf = (schema: Json): string => {
  if (typeof schema.$ref === 'string') return schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
  if (Array.isArray(schema.enum)) return schema.enum.join(' | ');
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map((one) => typeOf(one as Json)).join(' | ');
  if (schema.type === 'array') return `${typeOf((schema.items ?? {}) as Json)}[]`;
  return String(schema.type ?? 'any');
};

const parameters = (operation: Operation): string => {
  const rows = operation.parameters.map(
    (one) =>
      `<tr><td><code>${escapeHtml(one.name)}</code></td><td>${one.in}${one.required ? ', required' : ''}</td><td>${escapeHtml(typeOf(one.schema))}</td><td>${prose(one.description ?? '')}</td></tr>`,
  );
  return `<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>${rows.join('')}</table>`;
};

const requestBody = (operation: Operation): string => {
  if (operation.requestBody === undefined) return '';
  const { content } = operation.requestBody;
  const json = content['application/json']!;
  return `<h4>Body (${Object.keys(content).map(escapeHtml).join(' or ')})</h4>${block(json.example)}<details><summary>Schema</summary>${block(json.schema)}</details>`;
};

const responses = (operation: Operation): string => {
  const rows = Object.entries(operation.responses).map(([status, { description, content = {} }]) => {
    const example = Object.values(content).find((one) => one.example !== undefined)?.example;
    return `<tr><td>${status}</td><td>${prose(description)}</td><td>${Object.keys(content).map(escapeHtml).join(', ')}${example === undefined ? '' : `<details><summary>Example</summary>${block(example)}</details>`}</td></tr>`;
  });
  return `<table><tr><th>Status</th><th>Meaning</th><th>Content</th></tr>${rows.join('')}</table>`;
};

const section = (path: string, method: string, operation: Operation): string =>
  `<h3 id="${operation.operationId}"><span class="method">${method.toUpperCase()}</span> <code>${escapeHtml(path)}</code></h3><p>${prose(operation.summary)}.</p>` +
  (operation.description === undefined ? '' : `<p>${prose(operation.description)}</p>`) +
  parameters(operation) +
  requestBody(operation) +
  responses(operation);

export const renderDocs = (document: OpenApi): string => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  const contents = operations.map(
    ({ path, method, operation }) => `<li><a href="#${operation.operationId}"><b>${method.toUpperCase()}</b> ${escapeHtml(path)}</a></li>`,
  );
  const sections = tags.map(
    (tag) =>
      `<h2>${escapeHtml(tag)}</h2>${operations
        .filter(({ operation }) => operation.tags.includes(tag))
        .map(({ path, method, operation }) => section(path, method, operation))
        .join('')}`,
  );
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `<h3 id="schema-${escapeHtml(name)}">${escapeHtml(name)}</h3><details><summary>Schema</summary>${block(schema)}</details>`,
  );
  return page(
    `${document.info.title} API`,
    `<h1>${escapeHtml(document.info.title)} API ${escapeHtml(document.info.version)}</h1><p>${prose(document.info.description)}</p><p><a href="/openapi.json">openapi.json</a></p><nav><ul>${contents.join('')}</ul></nav>${sections.join('')}<h2>Schemas</h2>${schemas.join('')}`,
  );
};
