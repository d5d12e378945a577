// `dats node check`: can this machine join its core? Everything is looked at, and each thing is said with what to do.
import { EXIT } from '../exit.js';
import type { Action } from '../session.js';

/** A token that can be guessed is none. */
const TOKEN_LENGTH = 16;
const ANSWER_MS = 20_000;
const UNAUTHORIZED = 401;
const NOT_FOUND = 404;

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

/** A question that only a node with the right token is answered, and that changes nothing. */
const recognitionOf = async (send: typeof fetch, url: string, node: string, token: string, signal: AbortSignal): Promise<Finding> => {
  let status: number;
  try {
    const answer = await send(`${url.replace(/\/$/, '')}/api/v1/link/contents/missing`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ node_id: node, sha256: [] }),
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    await answer.body?.cancel();
    status = answer.status;
  } catch (error) {
    signal.throwIfAborted();
    const { cause, message } = error as Error;
    const why = (cause as { code?: string } | undefined)?.code ?? message;
    return bad(
      `nobody answers at ${url} (${why}); the node may be started all the same: it works cut off, and joins when the core is there`,
    );
  }
  if (status === 200) return good(`the core knows node ${node} and its token`);
  if (status === UNAUTHORIZED)
    return bad(`the core does not recognise node ${node}: it has no such node under \`nodes\`, or another token for it`);
  if (status === NOT_FOUND) return bad(`what answers at ${url} is not the core of several nodes`);
  return bad(`${url} answers ${status}: is it a DATS of this version?`);
};

export const checkNode: Action = async (session, [id], options) => {
  const { loadConfiguration } = await import('../../nodes/index.js');
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
    if (findings.every(({ ok }) => ok))
      findings.push(await recognitionOf(session.deps.fetch ?? fetch, core.url, entry.id, token!, io.signal));
  }
  const here = models.filter((model) => model.node === undefined || model.node === node.id);
  findings.push(good(here.length === 0 ? 'no models of its own' : `models: ${here.map((model) => model.id).join(', ')}`));
  const ok = findings.every((finding) => finding.ok);
  session.data({ ok, node: node.id, findings });
  session.say(...findings.map((finding) => `${finding.ok ? session.colours.green('ok') : session.colours.red('no')}  ${finding.what}`));
  return ok ? EXIT.ok : EXIT.failed;
};
