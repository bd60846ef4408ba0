export interface MemorySample {
  atMs: number;
  bytes: number;
}

const HOUR_MS = 3_600_000;

/** How fast memory grows, and how far chance may have moved that: one standard error of the line. Bytes an hour. */
export interface MemorySlope {
  bytes: number;
  error: number;
}

/**
 * A line of least squares through the least of each window. A garbage collected heap goes up and down by megabytes; what
 * is left at its lowest is what it holds. Undefined with fewer than three windows.
 */
export function memorySlope(samples: readonly MemorySample[], windowMs: number): MemorySlope | undefined {
  const windows = new Map<number, MemorySample>();
  for (const sample of samples) {
    const window = Math.floor((sample.atMs - samples[0]!.atMs) / windowMs);
    const least = windows.get(window);
    if (least === undefined || sample.bytes < least.bytes) windows.set(window, sample);
  }
  const points = [...windows.values()];
  if (points.length < 3) return undefined;
  const meanMs = points.reduce((sum, { atMs }) => sum + atMs, 0) / points.length;
  const meanBytes = points.reduce((sum, { bytes }) => sum + bytes, 0) / points.length;
  let covariance = 0;
  let variance = 0;
  for (const { atMs, bytes } of points) {
    covariance += (atMs - meanMs) * (bytes - meanBytes);
    variance += (atMs - meanMs) ** 2;
  }
  const slope = covariance / variance;
  let residual = 0;
  for (const { atMs, bytes } of points) residual += (bytes - meanBytes - slope * (atMs - meanMs)) ** 2;
  const error = Math.sqrt(residual / (points.length - 2) / variance);
  return { bytes: slope * HOUR_MS, error: error * HOUR_MS };
}
