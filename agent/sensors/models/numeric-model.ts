import { Autoregressive } from './autoregressive.js';
import { FaultPlan } from './fault-plan.js';
import { derivedSeed, normalAt, uniformAt } from './hashed-noise.js';

/** A measured quantity. All amounts are in the sensor's unit. */
export interface NumericParameters {
  base: number;
  /** Half the difference between the warmest and the coldest hour. */
  dailyAmplitude: number;
  /** Hour of the day, 0 to 24, of the highest value; a day begins at time 0. */
  peakHour: number;
  /** How far it wanders to either side over weeks. */
  drift: number;
  /** Standard deviation of the noise, and the correlation of neighbouring noise steps. */
  noise: number;
  noiseCorrelation: number;
  noiseStepMs: number;
  /** The sensor's resolution: values are multiples of it. */
  resolution: number;
  /** Standard deviation of the level between steps, and how often it steps on average. */
  step: number;
  stepEveryMinutes: number;
  /** How far off a spike is. */
  spike: number;
  faultsPerDay: number;
  /** What the sensor cannot go beyond. */
  minimum: number;
  maximum: number;
}

const HOUR_US = 3_600_000_000;
const DAY_US = 24 * HOUR_US;
/** Two periods that share no multiple, so that the drift does not repeat within years. */
const DRIFT_PERIODS_US = [11.3 * DAY_US, 29.7 * DAY_US];

/** Daily cycle, slow drift, steps, correlated noise and faults, quantised as the sensor does. */
export class NumericModel {
  readonly type = 'double' as const;
  readonly #parameters: NumericParameters;
  readonly #noise: Autoregressive;
  readonly #faults: FaultPlan;
  readonly #quantum: Quantum;
  readonly #driftPhases: number[];
  readonly #stepSeed: number;

  constructor(parameters: NumericParameters, seed: number) {
    this.#parameters = parameters;
    this.#noise = new Autoregressive(derivedSeed(seed, 'noise'), parameters.noiseCorrelation);
    this.#faults = new FaultPlan(derivedSeed(seed, 'faults'), parameters.faultsPerDay);
    this.#quantum = quantum(parameters.resolution);
    this.#driftPhases = [0, 1].map((at) => 2 * Math.PI * uniformAt(derivedSeed(seed, 'drift'), at));
    this.#stepSeed = derivedSeed(seed, 'step');
  }

  at(timeUs: number): number | undefined {
    const fault = this.#faults.at(timeUs);
    switch (fault?.kind) {
      case undefined:
        return this.#shown(this.#healthy(timeUs));
      case 'dropout':
        return undefined;
      case 'nan':
        return Number.NaN;
      case 'stuck':
        return this.#shown(this.#healthy(fault.startUs));
      case 'spike':
        return this.#shown(this.#healthy(timeUs) + fault.sign * this.#parameters.spike);
    }
  }

  #healthy(timeUs: number): number {
    const { base, dailyAmplitude, peakHour, drift, noise, noiseStepMs } = this.#parameters;
    const day = Math.cos((2 * Math.PI * (timeUs - peakHour * HOUR_US)) / DAY_US);
    let value = base + dailyAmplitude * day;
    if (drift !== 0) {
      // Counted by hand: an iterator here makes five objects a reading.
      for (let at = 0; at < DRIFT_PERIODS_US.length; at += 1) {
        value += (drift / 2) * Math.sin((2 * Math.PI * timeUs) / DRIFT_PERIODS_US[at] + this.#driftPhases[at]);
      }
    }
    if (noise !== 0) value += noise * this.#noise.at(Math.floor(timeUs / (noiseStepMs * 1000)));
    return value + this.#level(timeUs);
  }

  /** The level of the step that holds now: a new one each period, at a moment within it that differs. */
  #level(timeUs: number): number {
    const { step, stepEveryMinutes } = this.#parameters;
    if (step === 0) return 0;
    const position = timeUs / (stepEveryMinutes * 60_000_000);
    const period = Math.floor(position);
    const begun = position - period >= uniformAt(this.#stepSeed, period);
    return step * normalAt(this.#stepSeed + 1, begun ? period : period - 1);
  }

  #shown(value: number): number {
    const { minimum, maximum } = this.#parameters;
    const { multiple, scale } = this.#quantum;
    const within = Math.min(maximum, Math.max(minimum, value));
    // The division last: it gives the double nearest to the decimal, as a parser of the device's text would. The sum
    // turns -0, which no display shows, into 0.
    return (Math.round((within * scale) / multiple) * multiple) / scale + 0;
  }
}

/** A resolution as a whole multiple of a power of ten: 0.25 is 25 / 100. */
interface Quantum {
  multiple: number;
  scale: number;
}

function quantum(resolution: number): Quantum {
  for (let scale = 1; scale <= 1e9; scale *= 10) {
    const multiple = Math.round(resolution * scale);
    if (multiple > 0 && Math.abs(multiple - resolution * scale) < 1e-6) return { multiple, scale };
  }
  throw new RangeError(`a resolution of ${resolution} needs more than nine decimals`);
}
