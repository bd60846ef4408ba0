import { NumericModel, type NumericParameters } from './numeric-model.js';
import type { SensorModel } from './sensor-model.js';
import { CounterModel, DoorModel, MachineStateModel } from './state-models.js';

interface NumericPreset {
  unit: string;
  parameters: NumericParameters;
}

const NUMERIC_PRESETS = {
  /** A room with a DHT22: 0.1 degrees. */
  temperature: numeric('Cel', {
    base: 21,
    dailyAmplitude: 2.5,
    peakHour: 15,
    drift: 1.5,
    noise: 0.08,
    resolution: 0.1,
    spike: 30,
    minimum: -40,
    maximum: 80,
  }),
  /** The same sensor: 0.1 %. */
  humidity: numeric('%', {
    base: 48,
    dailyAmplitude: 6,
    peakHour: 5,
    drift: 8,
    noise: 0.4,
    resolution: 0.1,
    spike: 45,
    minimum: 0,
    maximum: 100,
  }),
  /** A BMP280: 0.01 hPa; weather is drift. */
  pressure: numeric('hPa', {
    base: 1013.25,
    dailyAmplitude: 0.6,
    peakHour: 10,
    drift: 18,
    noise: 0.03,
    resolution: 0.01,
    spike: 300,
    minimum: 300,
    maximum: 1100,
  }),
  /** A room that fills and empties: 1 ppm. */
  co2: numeric('[ppm]', {
    base: 750,
    dailyAmplitude: 220,
    peakHour: 14,
    drift: 30,
    noise: 12,
    resolution: 1,
    step: 120,
    stepEveryMinutes: 45,
    spike: 4000,
    minimum: 400,
    maximum: 5000,
  }),
  /** Velocity of a bearing: fast, hardly correlated noise. */
  vibration: numeric('mm/s', {
    base: 2.1,
    dailyAmplitude: 0.1,
    drift: 0.3,
    noise: 0.25,
    noiseCorrelation: 0.3,
    noiseStepMs: 10,
    resolution: 0.001,
    step: 0.4,
    stepEveryMinutes: 30,
    spike: 20,
    minimum: 0,
    maximum: 50,
  }),
  /** A lithium cell that a small solar panel charges. */
  battery: numeric('V', {
    base: 3.85,
    dailyAmplitude: 0.12,
    peakHour: 16,
    drift: 0.15,
    noise: 0.004,
    resolution: 0.01,
    spike: 0.8,
    minimum: 2.8,
    maximum: 4.2,
  }),
} satisfies Record<string, NumericPreset>;

type NumericPresetName = keyof typeof NUMERIC_PRESETS;

/** Names of the ready-made sensors. */
export const PRESET_NAMES = [
  'temperature',
  'humidity',
  'pressure',
  'co2',
  'vibration',
  'battery',
  'door',
  'machine-state',
  'counter',
] as const;

export type PresetName = (typeof PRESET_NAMES)[number];

/** What may be set of a preset. Those of a measured quantity have no meaning for door, machine state and counter. */
export type PresetOverrides = { [Name in keyof NumericParameters]?: NumericParameters[Name] | undefined } & {
  /** Minutes of a window of the door, or of a cycle of the machine. */
  cycleMinutes?: number | undefined;
  /** Counts a second of the counter, on average. */
  perSecond?: number | undefined;
};

/** A ready-made sensor. Presets with the same seed and the same parameters show the same values. */
export function presetModel(name: PresetName, seed: number, overrides: PresetOverrides = {}): SensorModel {
  const { cycleMinutes = 15, perSecond = 2, ...parameters } = overrides;
  switch (name) {
    case 'door':
      return new DoorModel(cycleMinutes, seed);
    case 'machine-state':
      return new MachineStateModel(cycleMinutes, seed);
    case 'counter':
      return new CounterModel(perSecond, seed);
    default:
      return new NumericModel(overridden(NUMERIC_PRESETS[name].parameters, parameters), seed);
  }
}

/** The unit that a preset measures in; empty where it has none. */
export function presetUnit(name: PresetName): string {
  return isNumeric(name) ? NUMERIC_PRESETS[name].unit : '';
}

/** Whether the preset is a measured quantity, and so takes the parameters of one. */
export function isNumeric(name: PresetName): name is NumericPresetName {
  return Object.hasOwn(NUMERIC_PRESETS, name);
}

function overridden(parameters: NumericParameters, overrides: PresetOverrides): NumericParameters {
  const set = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  return { ...parameters, ...set };
}

function numeric(
  unit: string,
  parameters: Pick<NumericParameters, 'base' | 'resolution' | 'minimum' | 'maximum' | 'spike'> &
    Partial<NumericParameters>,
): NumericPreset {
  return {
    unit,
    parameters: {
      dailyAmplitude: 0,
      peakHour: 14,
      drift: 0,
      noise: 0,
      noiseCorrelation: 0.9,
      noiseStepMs: 1000,
      step: 0,
      stepEveryMinutes: 60,
      faultsPerDay: 2,
      ...parameters,
    },
  };
}
