// Does what is sent to a model stay in the building? Where servers.yaml does not say, the address does: loopback and private addresses are within.
// A name says nothing, wherever it points today: `local: true` says it.
import { isIP } from 'node:net';
import type { ModelConfig } from '../schemas/index.js';
import { OLLAMA_URL } from './open-runner.js';

/** Loopback, RFC 1918, link-local. */
const isPrivateIPv4 = (address: string): boolean => {
  const [a = 0, b = 0] = address.split('.').map(Number);
  return a === 127 || a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168) || (a === 169 && b === 254);
};

/** Loopback, unique local (fc00::/7), link-local (fe80::/10), and IPv4 in IPv6 as URLs write it (`::ffff:7f00:1`). */
const isPrivateIPv6 = (address: string): boolean => {
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
  if (mapped !== null) {
    const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
    return isPrivateIPv4([high >> 8, high & 255, low >> 8, low & 255].join('.'));
  }
  return address === '::1' || /^f[cd][0-9a-f]{2}:/.test(address) || /^fe[89ab][0-9a-f]:/.test(address);
};

/** @param url as servers.yaml gives it; what is no URL is no private one */
export const isPrivateAddress = (url: string): boolean => {
  if (!URL.canParse(url)) return false;
  const host = new URL(url).hostname.toLowerCase().replace(/^\[|\]$/g, '');
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  const kind = isIP(host);
  return kind === 4 ? isPrivateIPv4(host) : kind === 6 && isPrivateIPv6(host);
};

export const isLocal = (config: Pick<ModelConfig, 'local' | 'runner' | 'base_url'>): boolean =>
  config.local ?? (config.runner === 'scripted' || isPrivateAddress(config.base_url ?? OLLAMA_URL));
