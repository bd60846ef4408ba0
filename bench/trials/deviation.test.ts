import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { trial } from './deviation.js';

// The recording is not part of the repository.
const folder = process.env.TRIBUTARY_DATA ?? '';

it.skipIf(!existsSync(join(folder, 'nab_machine_temperature.csv')))(
  'deviation catches the failures of a machine, at the cost that docs/ALERTS.md tells',
  async () => {
    const figures = await trial.run({ data: folder });
    expect(figures.defaultFailuresCaught).toBe(3);
    expect(figures.defaultFalseAlarmsPerMonth).toBeLessThan(7);
    expect(figures.heldFailuresCaught).toBe(3);
    expect(figures.heldFalseAlarmsPerMonth).toBeLessThan(2);
  },
);

it('asks for the recording by name', async () => {
  await expect(trial.run({ data: '/nowhere' })).rejects.toThrow('nab_machine_temperature.csv');
});
