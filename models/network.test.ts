import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { networkFault } from './network.js';

const SECRET = 'sk-in-the-words-of-the-network';
/** With its code in the cause, as the packages hand it on. */
const thrown = (code: string): Error =>
  new TypeError('fetch failed', { cause: Object.assign(new Error(`${code} ${SECRET}`), { code, data: SECRET, hostname: SECRET }) });

describe('a fault of the network', () => {
  it.each([
    ['ECONNREFUSED', 'model_unreachable', 'nobody listens there'],
    ['ENOTFOUND', 'model_unreachable', 'nobody knows its host name'],
    ['EAI_AGAIN', 'model_unreachable', 'the DNS does not answer'],
    ['ECONNRESET', 'model_unreachable', 'cut the connection'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'model_unreachable', 'NODE_EXTRA_CA_CERTS'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'model_unreachable', 'NODE_EXTRA_CA_CERTS'],
    ['CERT_HAS_EXPIRED', 'model_unreachable', 'does not hold today'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'model_unreachable', 'another host name'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'model_unreachable', 'http://'],
    ['CONNECT_TIMEOUT', 'model_timeout', 'no way leads to its host'],
    ['HPE_INVALID_CONSTANT', 'model_garbage', 'not HTTP'],
    ['E_NEVER_HEARD_OF', 'model_unreachable', 'E_NEVER_HEARD_OF'],
  ])('%s is %s, and says "%s"', (code, fault, words) => {
    const error = networkFault('m', thrown(code));
    expect(error).toMatchObject({ code: fault, kind: 'retryable' });
    expect(error.message).toContain(code);
    expect(error.message).toContain(words);
    expect(inspect(error, { depth: null })).not.toContain(SECRET);
  });

  it('without a code is about the request, and repeats none of its words', () => {
    const error = networkFault('m', new TypeError(`Headers.append: "${SECRET}" is an invalid header value.`));
    expect(error).toMatchObject({ code: 'model_unreachable', message: expect.stringContaining('connection failed') });
    expect(inspect(error, { depth: null })).not.toContain(SECRET);
  });

  it('takes no words for a code', () => {
    expect(networkFault('m', Object.assign(new Error('x'), { code: SECRET })).message).not.toContain(SECRET);
  });
});
