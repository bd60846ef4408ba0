import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from './address.js';

describe('an address', () => {
  it.each([
    ['collector.example.org:4443', 'collector.example.org', 4443],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['[::1]:65535', '::1', 65_535],
  ])('is %s and is written the same way', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port });
    expect(formatAddress({ host, port })).toBe(text);
  });

  it.each(['', 'a', ':1', 'a:', 'a:65536', 'a:-1', 'a:1x', '::1:1', 'http://a:1', 'a b:1', '[a]:1'])(
    'is not %j',
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );
});
