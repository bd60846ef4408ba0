import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Discard, LineFramer, type LineFramerOptions } from './line-framer.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder('latin1');

/** What a framer makes of chunks: lines as text, and per reason the bytes and the number of lines lost. */
function frame(chunks: readonly Uint8Array[], options: LineFramerOptions) {
  const framer = new LineFramer(options);
  const lines: string[] = [];
  const lost: Record<string, { bytes: number; lines: number }> = {};
  const count = (discards: readonly Discard[]) => {
    for (const { reason, bytes, continued } of discards) {
      lost[reason] ??= { bytes: 0, lines: 0 };
      lost[reason].bytes += bytes;
      lost[reason].lines += continued ? 0 : 1;
    }
  };
  for (const chunk of chunks) {
    const framed = framer.decode(chunk);
    for (const line of framed.lines) lines.push(decoder.decode(line));
    count(framed.discards);
  }
  count(framer.end());
  return { lines, lost };
}

function frameText(text: string, options: LineFramerOptions = {}) {
  return frame([encoder.encode(text)], options);
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const sorted = [...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  const chunks: Uint8Array[] = [];
  let start = 0;
  for (const cut of [...sorted, bytes.length]) {
    chunks.push(bytes.slice(start, cut));
    start = cut;
  }
  return chunks;
}

describe('LineFramer', () => {
  it('takes LF, CR LF and a lone CR as line ends and skips empty lines', () => {
    expect(frameText('a\nb\r\nc\rd\n\n\r\n\re\n').lines).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('keeps a line of exactly the limit and discards one byte more', () => {
    expect(frameText('abcd\nabcde\nab\n', { lineBytesMax: 4 })).toEqual({
      lines: ['abcd', 'ab'],
      lost: { line_too_long: { bytes: 5, lines: 1 } },
    });
  });

  it('discards the fragment before the first line end where it is told to', () => {
    expect(frameText('1.5\nt=2\n', { discardFirstFragment: true })).toEqual({
      lines: ['t=2'],
      lost: { first_fragment: { bytes: 3, lines: 1 } },
    });
    expect(frameText('\nt=2\n', { discardFirstFragment: true })).toEqual({ lines: ['t=2'], lost: {} });
  });

  it('reports what is left of a line when the input ends', () => {
    expect(frameText('a\nbc')).toEqual({ lines: ['a'], lost: { unfinished_line: { bytes: 2, lines: 1 } } });
  });

  it('counts each of two overlong lines in a row', () => {
    expect(frameText('aaaaa\nbbbbb\nc\n', { lineBytesMax: 4 }).lost).toEqual({
      line_too_long: { bytes: 10, lines: 2 },
    });
  });

  it('hands out a line from two chunks that the rest of the second chunk does not overwrite', () => {
    const framer = new LineFramer();
    framer.decode(encoder.encode('abc'));
    const { lines } = framer.decode(encoder.encode('def\nxyz'));
    expect(decoder.decode(lines[0])).toBe('abcdef');
  });

  it('takes megabytes without a line end in linear time and bounded memory', () => {
    const framer = new LineFramer();
    const noise = new Uint8Array(65_536).fill(0x41);
    let bytes = 0;
    for (let chunk = 0; chunk < 256; chunk += 1) {
      for (const discard of framer.decode(noise).discards) bytes += discard.bytes;
    }
    expect(bytes).toBe(256 * 65_536);
    expect(decoder.decode(framer.decode(encoder.encode('\nt=1\n')).lines[0])).toBe('t=1');
  });

  it('gives the same lines and losses wherever the input is split', () => {
    const byte = fc.constantFrom(...encoder.encode('\n\n\r\rabc,=1.5'), 0x00, 0xff);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }).chain((any) =>
          fc.oneof(
            fc.constant(any),
            fc.array(byte, { maxLength: 60 }).map((bytes) => Uint8Array.from(bytes)),
          ),
        ),
        fc.array(fc.nat(60), { maxLength: 20 }),
        fc.boolean(),
        (bytes, cuts, discardFirstFragment) => {
          const options = { lineBytesMax: 5, discardFirstFragment };
          const whole = frame([bytes], options);
          expect(frame(split(bytes, cuts), options)).toEqual(whole);
          expect(
            frame(
              [...bytes].map((each) => Uint8Array.of(each)),
              options,
            ),
          ).toEqual(whole);
          const lineBytes = whole.lines.reduce((sum, line) => sum + line.length, 0);
          const lostBytes = Object.values(whole.lost).reduce((sum, each) => sum + each.bytes, 0);
          const lineEnds = bytes.filter((each) => each === 0x0a || each === 0x0d).length;
          expect(lineBytes + lostBytes + lineEnds).toBe(bytes.length);
        },
      ),
      { seed: 20, numRuns: 500 },
    );
  });
});
