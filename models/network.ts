// From an error of the network layer to its Fault: by its code, in words of our own.
//
// The error itself is never kept as a cause: a parser's error carries the bytes that it could not read, and others quote the address (M3).
import type { Fault } from '../schemas/index.js';
import { modelFault } from './faults.js';
import type { ModelFaultCode } from './runner.js';

interface Meaning {
  readonly fault: ModelFaultCode;
  readonly words: string;
}

const unreachable = (words: string): Meaning => ({ fault: 'model_unreachable', words });
const NOT_TRUSTED = unreachable('its certificate is not trusted; give its authority in NODE_EXTRA_CA_CERTS, or correct base_url');
const OUT_OF_TIME = unreachable("its certificate does not hold today; renew it, or set this machine's clock");
const NO_TLS = unreachable('no TLS is spoken there; write http:// in base_url, or give the port that speaks TLS');
const CUT = unreachable('the other side cut the connection; where it speaks TLS, base_url begins with https://');
const NO_WAY = unreachable('no way leads to its host; check the network, a firewall, the port');
const NOT_HTTP: Meaning = { fault: 'model_garbage', words: 'what came is not HTTP; check host and port in base_url' };

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: unreachable('nobody listens there; start the server, or correct host and port in base_url'),
  ENOTFOUND: unreachable('nobody knows its host name; correct it in base_url, or check the DNS'),
  EAI_AGAIN: unreachable('the DNS does not answer now'),
  ECONNRESET: CUT,
  EPIPE: CUT,
  EHOSTUNREACH: NO_WAY,
  ENETUNREACH: NO_WAY,
  ETIMEDOUT: NO_WAY,
  CONNECT_TIMEOUT: { ...NO_WAY, fault: 'model_timeout' },
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_TRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
  CERT_UNTRUSTED: NOT_TRUSTED,
  CERT_REVOKED: NOT_TRUSTED,
  CERT_HAS_EXPIRED: OUT_OF_TIME,
  CERT_NOT_YET_VALID: OUT_OF_TIME,
  ERR_TLS_CERT_ALTNAME_INVALID: unreachable('its certificate is for another host name; write that name in base_url'),
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  EPROTO: NO_TLS,
};

/** The code of a network error, wherever it is hidden. */
const networkCode = (error: unknown): string | undefined => {
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < 4; e = e.cause, depth++) {
    const code = (e as { code?: unknown }).code;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code)) return code;
  }
  return undefined;
};

const meaningOf = (code: string): Meaning | undefined => MEANINGS[code] ?? (code.startsWith('HPE_') ? NOT_HTTP : undefined);

/** `model` is the id in servers.yaml. */
export const networkFault = (model: string, error: unknown): Fault => {
  const code = networkCode(error);
  if (code === undefined) return modelFault(model, 'model_unreachable', { detail: 'connection failed' });
  const { fault, words } = meaningOf(code) ?? { fault: 'model_unreachable' as const, words: undefined };
  return modelFault(model, fault, { detail: words === undefined ? code : `${code}: ${words}` });
};
