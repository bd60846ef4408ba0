import { describe, expect, it } from 'vitest';
import { DecodeArena } from './arena.js';

describe('the decode arena', () => {
  it('hands out blocks of at least the length asked for, and at most twice it', () => {
    const arena = new DecodeArena();
    for (const length of [16, 17, 100, 128, 129, 65_536]) {
      const { doubles, words } = arena.block(length);
      expect(doubles.length).toBeGreaterThanOrEqual(length);
      expect(doubles.length).toBeLessThan(2 * length);
      expect(words.buffer).toBe(doubles.buffer);
      expect(words.byteOffset).toBe(doubles.byteOffset);
    }
    expect(arena.block(0).doubles.length).toBeGreaterThanOrEqual(0);
  });

  it('hands out no memory twice before it is reset', () => {
    const arena = new DecodeArena();
    const blocks = Array.from({ length: 500 }, (_, i) => arena.block(1 + (i % 70)).doubles);
    blocks.forEach((block, i) => {
      block.fill(i);
    });
    blocks.forEach((block, i) => {
      expect(block.every((value) => value === i)).toBe(true);
    });
  });

  it('hands out the same memory again after a reset', () => {
    const arena = new DecodeArena();
    const first = [arena.block(100), arena.block(10), arena.block(100)];
    const held = arena.byteLength;
    arena.reset();
    expect([arena.block(100), arena.block(10), arena.block(100)]).toEqual(first);
    expect(arena.byteLength).toBe(held);
    expect(arena.usedBytes).toBe((128 + 16 + 128) * 8);
  });

  it('holds no more than its bound after a round, whichever sizes of blocks the rounds have used', () => {
    const arena = new DecodeArena();
    const roundBytes = 8 * 1024 * 1024;
    for (let bits = 4; bits <= 16; bits++) {
      while (arena.usedBytes < roundBytes) arena.block(1 << bits);
      arena.reset();
      expect(arena.byteLength).toBeLessThanOrEqual(2 * roundBytes);
    }
  });

  it('gives back what a burst has left, and keeps what each round uses', () => {
    const arena = new DecodeArena();
    for (let count = 0; count < 2000; count++) arena.block(100);
    const burstBytes = arena.byteLength;
    for (let round = 0; round < 3000; round++) {
      arena.reset();
      for (let count = 0; count < 400; count++) arena.block(100);
    }
    const held = arena.byteLength;
    expect(held).toBeLessThan(burstBytes / 2);
    const block = arena.block(100);
    for (let round = 0; round < 3000; round++) {
      arena.reset();
      for (let count = 0; count < 400; count++) arena.block(100);
    }
    expect(arena.block(100)).toBe(block);
    expect(arena.byteLength).toBe(held);
  });

  it('frees what was handed out since a mark, and nothing before it', () => {
    const arena = new DecodeArena();
    const kept = arena.block(100).doubles.fill(1);
    arena.mark();
    const dropped = [arena.block(100), arena.block(5000)];
    arena.rewind();
    expect(arena.usedBytes).toBe(128 * 8);
    expect([arena.block(100), arena.block(5000)]).toEqual(dropped);
    expect(kept.every((value) => value === 1)).toBe(true);
  });
});
