import { describe, expect, it } from 'vitest';
import { isLocal, isPrivateAddress } from './locality.js';

describe('an address', () => {
  it.each([
    'http://127.0.0.1:11434',
    'http://127.8.9.1/v1',
    'http://localhost:8000/v1',
    'http://gpu.localhost/',
    'http://[::1]:11434',
    'http://10.1.2.3',
    'http://172.16.0.1',
    'http://172.31.255.255',
    'http://192.168.0.5:11434',
    'http://169.254.1.1',
    'http://[fd12:3456::1]/v1',
    'http://[fe80::1]/v1',
    'http://[::ffff:10.0.0.1]/v1',
    'http://2130706433/', // 127.0.0.1 as URLs also allow it
  ])('%s is within', (url) => expect(isPrivateAddress(url)).toBe(true));

  it.each([
    'https://api.openai.com/v1',
    'http://8.8.8.8',
    'http://172.15.0.1',
    'http://172.32.0.1',
    'http://192.169.0.1',
    'http://11.0.0.1',
    'http://[2001:db8::1]/v1',
    'http://[::ffff:8.8.8.8]/v1',
    'http://localhost.example.com/v1',
    'http://127.0.0.1.example.com/v1',
    'http://ollama:11434', // a name may point anywhere
    'http://10.0.0.1@example.com/',
    'no url',
  ])('%s is not', (url) => expect(isPrivateAddress(url)).toBe(false));
});

describe('a model', () => {
  it('is local by its address, unless servers.yaml says otherwise', () => {
    expect(isLocal({ runner: 'ollama' })).toBe(true);
    expect(isLocal({ runner: 'scripted' })).toBe(true);
    expect(isLocal({ runner: 'openai', base_url: 'https://api.openai.com/v1' })).toBe(false);
    expect(isLocal({ runner: 'openai', base_url: 'http://ollama:8000/v1', local: true })).toBe(true);
    expect(isLocal({ runner: 'ollama', base_url: 'http://127.0.0.1:11434', local: false })).toBe(false);
  });
});
