/**
 * Chance as a function of a seed and a step: the same pair always gives the same number, in any order of asking, so that a
 * model's value at a time depends on nothing else. The mixing is the finaliser of MurmurHash3 (Austin Appleby), applied to
 * both halves of the step.
 */
function hash(seed: number, step: number): number {
  const high = Math.floor(step / 2 ** 32);
  return mix(mix((seed ^ step) | 0) ^ Math.imul(high ^ seed, 0x9e3779b1));
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}

/** Uniform in [0, 1). */
export function uniformAt(seed: number, step: number): number {
  return (hash(seed, step) >>> 0) / 2 ** 32;
}

/** Standard normal, by Box and Muller. */
export function normalAt(seed: number, step: number): number {
  const u = 1 - uniformAt(seed, step);
  const v = uniformAt(seed ^ 0x5bd1e995, step);
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

/** A seed of its own for each part of each series. */
export function derivedSeed(seed: number, name: string): number {
  let derived = mix(seed);
  for (let at = 0; at < name.length; at += 1) derived = mix(derived ^ Math.imul(name.charCodeAt(at) + at, 0x9e3779b1));
  return derived;
}
