import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CASE_START_US, type CaseEvent, type EdgeCase, edgeCases } from '@tributary/core/rules/edge-cases';
import type { Batch } from '@tributary/proto/batch/batch';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { type SeriesDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { DerivedPipeline } from './pipeline.js';
import { TestDevice } from './test-device.js';
import { TestTime } from './test-pipeline.js';

/*
 * The table of edge cases through the whole host: readings are committed to a real store and followed, holes are items that
 * do not come, time passes by watermarks and by the collector's clock, and what is stored in the end is what the table says.
 */

type Reading = Extract<CaseEvent, { kind: 'reading' }>;

let folder: string;
let store: SqliteStore;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-cases-'));
  store = await SqliteStore.open({ path: join(folder, 'store.db') });
});

afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** Another sensor of the device, whose readings show that nothing is missing any more. */
const OTHER = 'the-other-sensor';

function typeOf(value: Reading['value']): ValueType {
  if (typeof value === 'string') return ValueType.STRING;
  return typeof value === 'boolean' ? ValueType.BOOLEAN : ValueType.DOUBLE;
}

function declare(events: readonly CaseEvent[]): SeriesDeclaration[] {
  const types = new Map<string, ValueType>([[OTHER, ValueType.DOUBLE]]);
  for (const event of events) if (event.kind === 'reading') types.set(event.series, typeOf(event.value));
  return [...types].map(([name, type], at) => ({ id: at + 1, name, unit: '', labels: {}, type }));
}

/** A series that changes its type becomes another series, which is not what the table has in mind. */
function hasMixedTypes(events: readonly CaseEvent[]): boolean {
  const types = new Map<string, ValueType>();
  return events.some((event) => {
    if (event.kind !== 'reading') return false;
    const known = types.get(event.series);
    types.set(event.series, typeOf(event.value));
    return known !== undefined && known !== typeOf(event.value);
  });
}

/** One group a series: each has times of its own. */
function batchOf(readings: readonly Reading[], series: readonly SeriesDeclaration[]): Batch {
  const names = [...new Set(readings.map((reading) => reading.series))];
  return {
    segment: 0,
    unitExponent: 6,
    baseTime: BigInt(CASE_START_US),
    readings: readings.length,
    groups: names.map((name) => {
      const own = readings.filter((reading) => reading.series === name);
      const { id, type } = series.find((one) => one.name === name)!;
      const strings = type === ValueType.STRING ? [...new Set(own.map(({ value }) => String(value)))] : [];
      const values = own.map(({ value }) => (typeof value === 'string' ? strings.indexOf(value) : Number(value)));
      const columnType = type === ValueType.STRING ? 'string' : type === ValueType.BOOLEAN ? 'boolean' : 'double';
      const values64 = Float64Array.from(values);
      return {
        rows: own.length,
        times: Float64Array.from(own, ({ timeUs }) => timeUs - CASE_START_US),
        columns: [{ seriesId: id, type: columnType, presence: null, count: own.length, values: values64, strings }],
      };
    }),
  };
}

function isOfDevice({ absent }: EdgeCase['rule']): boolean {
  return typeof absent === 'object' && absent.of === 'device';
}

/** The same words as `storyOf` has for transitions of an instance. */
async function storyOf(deviceId: number): Promise<string[]> {
  const { alerts } = await store.listAlerts({ deviceId, firingOnly: false }, 0, 10_000);
  const seconds = (timeUs: number) => (timeUs - CASE_START_US) / 1e6;
  return alerts.map(({ state, transitionAtUs, startedAtUs, seriesName }) => {
    const to = state === AlertState.FIRING ? 'firing' : 'resolved';
    const since = to === 'firing' && startedAtUs !== transitionAtUs ? ` since ${seconds(startedAtUs)}` : '';
    const by = seriesName === 'x' || seriesName === '' ? '' : ` by ${seriesName}`;
    return `${to}@${seconds(transitionAtUs)}${since}${by}`;
  });
}

async function run(one: EdgeCase, name: string, together: boolean, restarts: boolean): Promise<string[]> {
  const { events, rule } = one;
  const series = declare(events);
  const watchesDevice = isOfDevice(rule);
  const device = await new TestDevice(store, name, 1, series).register();
  const { deviceId, epoch } = device;
  const time = new TestTime();
  const heard = events.find(({ kind }) => kind === 'heard') as { timeUs: number } | undefined;
  let nowUs = heard?.timeUs ?? CASE_START_US;
  const make = () =>
    new DerivedPipeline({
      store,
      rules: [rule],
      clock: { wallUs: () => nowUs },
      scheduler: time,
      logger: pino({ level: 'silent' }),
      wake: () => {},
    });
  let derived = make();
  await derived.start();
  const statuses: string[] = [];
  const commit = (readings: readonly Reading[]) =>
    device.commitAndFollow(derived, [device.item(batchOf(readings, series))]);
  let index = 0;
  while (index < events.length) {
    const event = events[index]!;
    index += 1;
    if (event.kind === 'reading') {
      const readings = [event];
      while (together && events[index]?.kind === 'reading') readings.push(events[index++] as Reading);
      await commit(readings);
    } else if (event.kind === 'hole') {
      // It is made, and never sent. Before the first reading there is nothing that it could be missing behind.
      device.item(batchOf([{ kind: 'reading', series: OTHER, timeUs: CASE_START_US, value: 0 }], series));
    } else if (event.kind === 'resumed') {
      await commit([{ kind: 'reading', series: OTHER, timeUs: event.timeUs, value: 0 }]);
    } else if (event.kind === 'heard') {
      nowUs = event.timeUs;
      derived.heard(deviceId);
    } else if (event.kind === 'until') {
      nowUs = Math.max(nowUs, event.timeUs);
      const { readingsProduced } = device;
      // A watermark is a sign of the device, which a rule that watches for one must not get.
      if (watchesDevice) {
        await time.pass(1000);
        await derived.settle();
      } else derived.watermark({ deviceId, untilUs: event.timeUs + 1, epoch, readingsProduced, nowUs: nowUs + 1 });
    } else {
      nowUs = event.timeUs;
      // A host knows of missing readings when the next ones come, and of a series when its first one does.
      if (events[index - 2]?.kind === 'hole') continue;
      const standing = derived.ruleStates(deviceId)[0]?.state ?? 'unknown';
      statuses.push(standing === event.expected ? 'as expected' : `status:${event.timeUs} is ${standing}`);
    }
    if (!restarts) continue;
    await derived.stop();
    derived = make();
    await derived.start();
  }
  await derived.stop();
  expect(statuses.filter((status) => status !== 'as expected')).toEqual([]);
  return storyOf(deviceId);
}

// A host hears of each device that it knows when it starts.
const cases = edgeCases().filter(({ name, events }) => !hasMixedTypes(events) && !name.includes('never heard of'));

describe.each([
  ['whole', true, false],
  ['reading by reading', false, false],
  ['with a restart after each event', true, true],
])('edge cases through the host, %s', (mode, together, restarts) => {
  // A case of very many readings takes long reading by reading; after a start every device has the full time again.
  const few = cases.filter(
    ({ rule, events }) => (together || events.length < 40) && !(restarts && (events.length > 200 || isOfDevice(rule))),
  );

  it.each(few.map((one): [string, EdgeCase] => [`${one.group}: ${one.name}`, one]))('%s', async (name, one) => {
    expect(await run(one, `${mode} ${name}`.slice(0, 120), together, restarts)).toEqual(one.expected);
  });
});
