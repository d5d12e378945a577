// `dats node check`: can this machine join its core? Everything is looked at, and each thing is said with what to do.
import { toFault } from '../../schemas/index.js';
import { EXIT } from '../exit.js';
import type { Action } from '../session.js';

/** A token that can be guessed is none. */
const TOKEN_LENGTH = 16;

interface Finding {
  readonly ok: boolean;
  readonly what: string;
}
const good = (what: string): Finding => ({ ok: true, what });
const bad = (what: string): Finding => ({ ok: false, what });

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
/** The token goes with every call. */
const lineOf = (url: string): Finding => {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:' || LOOPBACK.test(hostname)) return good(`the core is at ${url}`);
  return bad(`the core is at ${url}, and the token would go there in the clear: put it behind TLS, and give its https:// address`);
};

type OpenLine = typeof import('../../nodes/index.js')['openLine'];

/** A question that only a node with the right token is answered, and that changes nothing. */
const recognitionOf = async (openLine: OpenLine, url: string, node: string, token: string, signal: AbortSignal): Promise<Finding> => {
  const line = openLine({ url, node, token });
  try {
    await line.missing([], signal);
    return good(`the core knows node ${node} and its token`);
  } catch (error) {
    signal.throwIfAborted();
    const { code, message, cause } = toFault(error);
    if (code === 'link_down')
      return bad(
        `nobody answers at ${url} (${whyOf(cause)}); the node may be started all the same: it works cut off, and joins when the core is there`,
      );
    if (code === 'node_unauthorized')
      return bad(`the core does not recognise node ${node}: it has no such node under \`nodes\`, or another token for it`);
    if (code === 'no_nodes' || code === 'not_found') return bad(`what answers at ${url} is not the core of several nodes`);
    return bad(`${message}: is it a DATS of this version, and does a proxy before it speak HTTP/2?`);
  } finally {
    line.hangUp();
  }
};

/** What is known of a connection that came to nothing, in a word. */
const whyOf = (error: unknown): string => {
  const { cause, code, message } = error as Error & { readonly cause?: { readonly code?: string }; readonly code?: string };
  return cause?.code ?? code ?? message;
};

export const checkNode: Action = async (session, [id], options) => {
  const { loadConfiguration, openLine } = await import('../../nodes/index.js');
  const { io } = session;
  const env = id === undefined ? io.env : { ...io.env, DATS_NODE_ID: id };
  const found = loadConfiguration({ env, cwd: io.cwd, ...(options.config === undefined ? {} : { path: String(options.config) }) });
  const { node, nodes, models } = found.config;
  const findings: Finding[] = [good(`${found.path ?? 'the built-in defaults'} is right: this is node ${node.id}`)];
  const entry = nodes.find((one) => one.id === node.id);
  const core = nodes.find(({ url }) => url !== undefined);
  const token = entry?.token_env === undefined ? undefined : io.env[entry.token_env];
  if (core?.url === undefined || entry === undefined)
    findings.push(bad('it is the only node: name the nodes, and the core among them, under `nodes`'));
  else if (entry.id === core.id) findings.push(bad('it is the core: nodes join it, it joins nobody'));
  else {
    const isSet = (token ?? '').length >= TOKEN_LENGTH;
    findings.push(
      isSet
        ? good(`${entry.token_env} is set`)
        : bad(
            `${entry.token_env} is not set, or shorter than ${TOKEN_LENGTH} characters: make one with openssl rand -hex 32, and give the core the same`,
          ),
      lineOf(core.url),
    );
    if (findings.every(({ ok }) => ok)) findings.push(await recognitionOf(openLine, core.url, entry.id, token!, io.signal));
  }
  const here = models.filter((model) => model.node === undefined || model.node === node.id);
  findings.push(good(here.length === 0 ? 'no models of its own' : `models: ${here.map((model) => model.id).join(', ')}`));
  const ok = findings.every((finding) => finding.ok);
  session.data({ ok, node: node.id, findings });
  session.say(...findings.map((finding) => `${finding.ok ? session.colours.green('ok') : session.colours.red('no')}  ${finding.what}`));
  return ok ? EXIT.ok : EXIT.failed;
};
