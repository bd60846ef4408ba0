import { describe, expect, it } from 'vitest';
import { batcher, readings, row, spec, takeAll } from './batcher-harness.js';
import { seriesKey } from './series-key.js';

describe('Batcher', () => {
  it('gives protected series batches of their own, with the instants of their rows', () => {
    const { host, batcher: all } = batcher();
    Object.assign(host, { isProtected: ({ name }: { name: string }) => name.startsWith('alarm') });
    const sink = all.openGroup('monotonic');
    const [temperature, alarm] = [sink.addSeries(spec('temperature')), sink.addSeries(spec('alarm.door'))];
    for (const [timeUs, isOpen] of [
      [1000, false],
      [2000, true],
    ] as const) {
      sink.begin(timeUs);
      sink.number(temperature, 20);
      if (isOpen) sink.number(alarm, 1);
      sink.end();
    }
    all.flush();
    const taken = takeAll(all);
    expect(taken.map((each) => [each.isProtected, each.batch.readings])).toEqual([
      [false, 2],
      [true, 1],
    ]);
    expect(readings(taken[1])).toMatchObject([{ timeUs: 2000, value: 1 }]);
    for (const each of taken) each.release();
    expect(all.pendingReadings).toBe(0);
  });

  it('closes by the number of readings', () => {
    const { batcher: all } = batcher({ readings: 4 });
    const sink = all.openGroup('monotonic');
    const a = sink.addSeries(spec('a'));
    const b = sink.addSeries(spec('b'));
    row(sink, 10, [
      [a, 1],
      [b, 2],
    ]);
    expect(all.take()).toBeUndefined();
    row(sink, 20, [
      [a, 3],
      [b, 4],
    ]);
    const [taken] = takeAll(all);
    expect(taken.batch).toMatchObject({ segment: 7, unitExponent: 6, baseTime: 10n, readings: 4 });
    expect(taken.batch.groups[0].columns.map((column) => column.presence)).toEqual([null, null]);
    expect(readings(taken).map(({ id, timeUs, value }) => [id, timeUs, value])).toEqual([
      [1, 10, 1],
      [2, 10, 2],
      [1, 20, 3],
      [2, 20, 4],
    ]);
  });

  it('closes by age, counted from the first reading', () => {
    const { host, batcher: all } = batcher({ ageUs: 1000 });
    const sink = all.openGroup('absolute');
    const a = sink.addSeries(spec('a'));
    expect(all.nextDeadlineUs()).toBeUndefined();
    host.clockUs = 500;
    row(sink, 1_700_000_000_000_000, [[a, 1]]);
    host.clockUs = 900;
    row(sink, 1_700_000_000_000_001, [[a, 2]]);
    expect(all.nextDeadlineUs()).toBe(1500);
    expect(host.wakes).toBe(1);
    all.tick(1499);
    expect(all.take()).toBeUndefined();
    all.tick(1500);
    expect(all.nextDeadlineUs()).toBeUndefined();
    expect(takeAll(all).map((taken) => taken.batch.segment)).toEqual([0]);
  });

  it('lets its age be changed while a batch is open', () => {
    const { host, batcher: all } = batcher();
    const sink = all.openGroup('monotonic');
    row(sink, 1, [[sink.addSeries(spec('a')), 1]]);
    all.setAgeUs(50_000);
    expect(all.nextDeadlineUs()).toBe(50_000);
    expect(host.wakes).toBe(2);
  });

  it('closes by bytes, which is what text fills first', () => {
    const { batcher: all } = batcher({ bytes: 1000 });
    const sink = all.openGroup('monotonic');
    const state = sink.addSeries(spec('state', 'string'));
    for (let at = 0; at < 10; at += 1) row(sink, at, [[state, `${at}`.repeat(200)]]);
    expect(takeAll(all).length).toBe(2);
  });

  it('never puts more text into a batch than the format takes', () => {
    const { batcher: all } = batcher({ bytes: 512 * 1024 });
    const sink = all.openGroup('monotonic');
    const state = sink.addSeries(spec('state', 'string'));
    const states = Array.from({ length: 600 }, (_, at) => `${at}`.padStart(256, '-'));
    for (const [at, text] of states.entries()) row(sink, at, [[state, text]]);
    all.flush();
    expect(takeAll(all).flatMap((taken) => readings(taken).map(({ value }) => value))).toEqual(states);
  });

  it('keeps the two time lines in batches of their own', () => {
    const { batcher: all } = batcher();
    const own = all.openGroup('absolute');
    const device = all.openGroup('monotonic');
    row(own, 1_700_000_000_000_000, [[own.addSeries(spec('gps')), 1]]);
    row(device, 5, [[device.addSeries(spec('t')), 2]]);
    all.flush();
    expect(takeAll(all).map(({ batch }) => [batch.segment, batch.baseTime])).toEqual([
      [7, 5n],
      [0, 1_700_000_000_000_000n],
    ]);
  });

  it('closes where the segment changes and where an offset would not be exact', () => {
    const { host, batcher: all } = batcher();
    const sink = all.openGroup('monotonic');
    const a = sink.addSeries(spec('a'));
    row(sink, 5, [[a, 1]]);
    host.segment = 8;
    row(sink, -Number.MAX_SAFE_INTEGER, [[a, 2]]);
    row(sink, Number.MAX_SAFE_INTEGER, [[a, 3]]);
    row(sink, 0.5, [[a, 4]]);
    all.flush();
    expect(takeAll(all).flatMap(readings)).toEqual([
      { id: 1, segment: 7, timeUs: 5, value: 1 },
      { id: 1, segment: 8, timeUs: -Number.MAX_SAFE_INTEGER, value: 2 },
      { id: 1, segment: 8, timeUs: Number.MAX_SAFE_INTEGER, value: 3 },
    ]);
    expect(host.drops).toEqual({ time_range: 1 });
  });

  it('takes the last value where a row gives a series two, and nothing of a row that never ends', () => {
    const { batcher: all } = batcher();
    const sink = all.openGroup('monotonic');
    const a = sink.addSeries(spec('a'));
    sink.begin(1);
    sink.number(a, 99);
    row(sink, 2, [
      [a, 1],
      [a, 2],
    ]);
    row(sink, 3, []);
    all.flush();
    expect(takeAll(all).flatMap(readings)).toEqual([{ id: 1, segment: 7, timeUs: 2, value: 2 }]);
  });

  it('gives one index to equal series, whatever the order of their labels', () => {
    const { batcher: all } = batcher();
    const sink = all.openGroup('monotonic');
    const first = sink.addSeries({ ...spec('a'), labels: { x: '1', y: '2' } });
    expect(sink.addSeries({ ...spec('a'), labels: { y: '2', x: '1' } })).toBe(first);
    expect(sink.addSeries({ ...spec('a'), labels: { x: '1' } })).not.toBe(first);
  });

  it('holds a batch back until all its series have ids, and those behind it', () => {
    const { host, batcher: all } = batcher({ readings: 1 });
    host.unknown = 'pending';
    const sink = all.openGroup('monotonic');
    row(sink, 1, [[sink.addSeries(spec('a')), 1]]);
    host.answers.set(seriesKey(spec('b')), 2);
    row(sink, 2, [[sink.addSeries(spec('b')), 2]]);
    expect(all.take()).toBeUndefined();
    host.answers.set(seriesKey(spec('a')), 1);
    expect(
      takeAll(all)
        .flatMap(readings)
        .map(({ id }) => id),
    ).toEqual([1, 2]);
  });

  it('drops the readings of a series that the catalogue refuses, before or after they were taken', () => {
    const { host, batcher: all } = batcher();
    host.unknown = 'pending';
    const sink = all.openGroup('monotonic');
    const late = sink.addSeries(spec('late'));
    host.answers.set(seriesKey(spec('never')), 'refused');
    const never = sink.addSeries(spec('never'));
    host.answers.set(seriesKey(spec('good')), 3);
    const good = sink.addSeries(spec('good'));
    row(sink, 1, [
      [late, 1],
      [never, 2],
      [good, 3],
    ]);
    row(sink, 2, [[never, 4]]);
    row(sink, 3, [[late, 5]]);
    all.flush();
    host.answers.set(seriesKey(spec('late')), 'refused');
    const taken = takeAll(all);
    expect(taken.flatMap(readings)).toEqual([{ id: 3, segment: 7, timeUs: 1, value: 3 }]);
    for (const each of taken) each.release();
    expect(host.drops).toEqual({ series_refused: 4 });
    expect(all.pendingReadings).toBe(0);
  });

  it('makes two batches of one where two groups bring the same series', () => {
    const { batcher: all } = batcher();
    const one = all.openGroup('monotonic');
    const two = all.openGroup('monotonic');
    row(one, 1, [[one.addSeries(spec('a')), 1]]);
    row(two, 2, [
      [two.addSeries(spec('a')), 2],
      [two.addSeries(spec('b')), 3],
    ]);
    all.flush();
    const taken = takeAll(all);
    expect(taken.map((each) => readings(each).length)).toEqual([1, 2]);
    taken[0].release();
    expect(all.pendingReadings).toBe(3);
    taken[1].release();
    taken[1].release();
    expect(all.pendingReadings).toBe(0);
  });

  it('drops whole rows, and counts them, when as many readings wait as may', () => {
    const { host, batcher: all } = batcher({ readings: 2, pendingReadings: 16 });
    const sink = all.openGroup('monotonic');
    const a = sink.addSeries(spec('a'));
    const b = sink.addSeries(spec('b'));
    for (let at = 0; at < 10; at += 1)
      row(sink, at, [
        [a, at],
        [b, at],
      ]);
    expect(all.pendingReadings).toBe(16);
    expect(host.drops).toEqual({ memory: 4 });
    for (const taken of takeAll(all)) taken.release();
    row(sink, 11, [[a, 11]]);
    expect(all.pendingReadings).toBe(1);
  });

  it('asks sources that can wait to wait, long before anything is dropped', async () => {
    const { batcher: all } = batcher({ readings: 1, pendingReadings: 8 });
    const sink = all.openGroup('absolute');
    const a = sink.addSeries(spec('a'));
    for (let at = 0; at < 4; at += 1) {
      expect(all.ready()).toBeUndefined();
      row(sink, at, [[a, at]]);
    }
    const ready = all.ready();
    expect(ready).toBeInstanceOf(Promise);
    all.take()?.release();
    await ready;
    expect(all.ready()).toBeUndefined();
  });

  it('does not close small batches by age while nobody takes them', () => {
    const { host, batcher: all } = batcher({ ageUs: 1 });
    const sink = all.openGroup('monotonic');
    const a = sink.addSeries(spec('a'));
    for (let at = 0; at < 100; at += 1) {
      host.clockUs = at * 10;
      row(sink, at, [[a, at]]);
      all.tick(host.clockUs + 1);
    }
    expect(all.nextDeadlineUs()).toBeUndefined();
    const taken = takeAll(all);
    expect(taken.length).toBe(8);
    expect(all.nextDeadlineUs()).toBeDefined();
    all.flush();
    expect(takeAll(all)[0].batch.readings).toBe(92);
  });

  it('refuses bounds that leave no room to wait', () => {
    expect(() => batcher({ readings: 100, pendingReadings: 799 })).toThrow(RangeError);
  });
});
