import { writeFileSync } from 'node:fs';
import { presetModel } from '@tributary/agent/sensors/models/presets';

const ROWS = 3000;
const INTERVAL_US = 100_000;

/** Five minutes of a pump at ten rows a second, as a recorder would have written them. */
export function writeReplayTable(file: string): void {
  const vibration = presetModel('vibration', 7, { faultsPerDay: 0 });
  const temperature = presetModel('temperature', 8, { base: 48, faultsPerDay: 0 });
  const lines = ['time_us,vibration,bearing_temperature'];
  for (let row = 0; row < ROWS; row++) {
    const timeUs = row * INTERVAL_US;
    lines.push(`${timeUs},${vibration.at(timeUs)},${temperature.at(timeUs)}`);
  }
  writeFileSync(file, `${lines.join('\n')}\n`);
}
