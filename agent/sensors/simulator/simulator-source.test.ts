import { describe, expect, it } from 'vitest';
import { ManualScheduler } from '../manual-scheduler.js';
import { RecordingHost } from '../recording-sink.js';
import { SimulatorSource, type SimulatorSourceConfig } from './simulator-source.js';

function setUp(overrides: Partial<SimulatorSourceConfig> = {}) {
  const scheduler = new ManualScheduler();
  const host = new (class extends RecordingHost {
    override monotonicUs() {
      return Math.round((this.nowUs === 0 ? scheduler.nowMs() : this.nowUs / 1000) * 1000);
    }
  })();
  const source = new SimulatorSource(
    {
      name: 'simulated',
      labels: { site: 'x' },
      intervalMs: 1000,
      seed: 1,
      series: [
        { name: 't', model: 'temperature', parameters: { faultsPerDay: 0 } },
        { name: 'door', model: 'door', labels: { site: 'y' } },
        { name: 'state', model: 'machine-state', unit: '1' },
      ],
      ...overrides,
    },
    host,
    { scheduler },
  );
  return { scheduler, host, source };
}

describe('SimulatorSource', () => {
  it('gives one row an interval with all its series', async () => {
    const { scheduler, host, source } = setUp();
    expect(host.sinks[0].sink.series).toEqual([
      { name: 't', unit: 'Cel', labels: { site: 'x' }, type: 'double' },
      { name: 'door', unit: '', labels: { site: 'y' }, type: 'boolean' },
      { name: 'state', unit: '1', labels: { site: 'x' }, type: 'string' },
    ]);
    source.start();
    scheduler.advance(3500);
    expect(host.rows.map(({ timeUs }) => timeUs)).toEqual([0, 1_000_000, 2_000_000, 3_000_000]);
    expect(Object.keys(host.rows[0].values)).toEqual(['t', 'door', 'state']);
    await source.stop();
    expect(scheduler.pending).toBe(0);
  });

  it('gives fast series several rows at a time, none left out and each at its own time', () => {
    const { scheduler, host, source } = setUp({ intervalMs: 7 });
    source.start();
    scheduler.advance(1000);
    const times = host.rows.map(({ timeUs }) => timeUs);
    expect(times).toEqual(Array.from({ length: times.length }, (_, at) => at * 7000));
    expect(times.length).toBeGreaterThan(128);
  });

  it('makes up for a stall up to a bound, and counts what it skips', () => {
    const { scheduler, host, source } = setUp({ intervalMs: 1 });
    source.start();
    host.nowUs = 5_000_000;
    scheduler.advance(200);
    expect(host.rows.length).toBe(1 + 1000);
    expect(host.drops).toEqual([{ reason: 'rows_skipped', detail: '4000 rows; the process was stalled' }]);
    expect(host.rows.at(-1)?.timeUs).toBe(5_000_000);
  });

  it('shows the same values for the same seed and others for another, and for another name', () => {
    const values = (seed: number, name: string) => {
      const { scheduler, host, source } = setUp({ seed, series: [{ name, model: 'temperature' }] });
      source.start();
      scheduler.advance(60_000);
      return host.rows.map((row) => row.values[name]);
    };
    expect(values(1, 'a')).toEqual(values(1, 'a'));
    expect(values(1, 'a')).not.toEqual(values(2, 'a'));
    expect(values(1, 'a')).not.toEqual(values(1, 'b'));
  });

  it('is late only by a wake-up that has not come', async () => {
    const { scheduler, source } = setUp();
    expect(source.overdueMs(90_000)).toBe(0);
    source.start();
    scheduler.advance(10_000);
    expect(source.overdueMs(scheduler.nowMs())).toBe(0);
    expect(source.overdueMs(scheduler.nowMs() + 41_000)).toBe(40_000);
    await source.stop();
    expect(source.overdueMs(scheduler.nowMs() + 41_000)).toBe(0);
  });
});
