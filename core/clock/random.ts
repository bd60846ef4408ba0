/** A uniform number in [0, 1). A parameter wherever chance decides, so that a seed replays it. */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/**
 * A generator whose whole sequence follows from `seed`: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state,
 * seeded through splitmix32 so that neighbouring seeds have nothing in common. Not for secrets.
 */
export function seededRandom(seed: number): Random {
  let mixer = seed ^ (seed / 2 ** 32);
  const mix = (): number => {
    mixer = (mixer + 0x9e3779b9) | 0;
    let z = mixer;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  };
  let a = mix();
  let b = mix();
  let c = mix();
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // The author's advice: the first outputs still show the seed.
  for (let round = 0; round < 12; round += 1) next();
  return next;
}
