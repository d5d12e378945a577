import { describe, expect, it } from 'vitest';
import { openEvents } from './sse.js';

const STREAM = ': hello\r\ndata: {"a":"ü€"}\n\nevent: x\ndata:1\r\ndata: 2\r\n\r\nid: 3\n\ndata: [DONE]\n\ndata: cut';

describe('server-sent events', () => {
  it('are the same wherever the pieces are cut, in the middle of a character too', () => {
    const bytes = Buffer.from(STREAM);
    for (let size = 1; size <= bytes.length; size++) {
      const take = openEvents();
      const data: string[] = [];
      for (let at = 0; at < bytes.length; at += size) data.push(...take(bytes.subarray(at, at + size)));
      expect(data).toEqual(['{"a":"ü€"}', '1\n2', '[DONE]']);
    }
  });
});
