import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { readStatus } from '@tributary/agent/health/status-socket';
import { TcpProxy } from '@tributary/simulators/link/tcp-proxy';
import { type CsvTable, firstDifference, readCsvTable } from '@tributary/simulators/replay/csv-table';
import { freePort, readMetrics } from '@tributary/simulators/rig/collector-metrics';
import { Observer } from '@tributary/simulators/rig/observer';
import { Rig } from '@tributary/simulators/rig/rig';
import { until } from '@tributary/simulators/rig/until';
import { TlsBytes } from '../tls-bytes.js';
import { type Figures, numberOption, type Trial } from '../trial.js';

const DEVICE = 'wire';

/** A paced batch takes this long to fill: many times what sending one takes, so that each has a stream of its own. */
const PACED_BATCH_MS = 250;

/** As many batches say what a batch costs; a paced table is cut off after them. */
const PACED_BATCHES_MAX = 100;

/** The fastest that a replay goes. */
const SPEED_MAX = 1e6;

const LIMIT_MS = 300_000;

/** What the real agent puts on the socket for a recorded table, and whether the collector answers the table bit for bit. */
export const trial: Trial = {
  options: {
    csv: 'table to send: time_us,<column>,...',
    rows: 'rows in a batch, default 300',
    paced: 'send each batch when it is full, in a stream of its own, instead of a backlog at full speed',
  },
  async run(options): Promise<Figures> {
    const { csv, paced } = options;
    if (typeof csv !== 'string') throw new Error('--csv must name a table');
    const rows = numberOption(options, 'rows', 300);
    const rig = await Rig.create('wire');
    try {
      const file = rig.path('table.csv');
      const lines = readFileSync(csv, 'utf8').split('\n');
      writeFileSync(file, lines.slice(0, paced ? 1 + rows * PACED_BATCHES_MAX : lines.length).join('\n'));
      const table = readCsvTable(file);
      const sent = paced ? await sendPaced(rig, file, table, rows) : await sendBacklog(rig, file, table, rows);
      return {
        file: basename(csv),
        readings: table.readings,
        rows,
        bytesPerReading: perReading(sent.wireBytes, table),
        batchBytesPerReading: perReading(sent.batchBytes, table),
        lossless: sent.lossless,
      };
    } finally {
      await rig.close();
    }
  },
};

interface Sent {
  wireBytes: number;
  batchBytes: number;
  lossless: boolean;
}

/** The link is dead until the whole table lies in the agent's buffer; then it goes as fast as it can. */
function sendBacklog(rig: Rig, file: string, table: CsvTable, rows: number): Promise<Sent> {
  // The age closes the last batch alone: those before it fill up within milliseconds.
  const batching = { ...batchBounds(table, rows), maxAge: '2s', maxAgeOffline: '2s' };
  const source = { ...replayOf(file), paced: false };
  return overProxy(rig, table, { batching, sources: [source] }, true, async (status, proxy) => {
    await until('the buffer has the table', async () => (await status())?.buffer.readings === table.readings, LIMIT_MS);
    proxy.heal();
    await until('the buffer is empty', async () => (await status())?.buffer.items === 0, LIMIT_MS);
  });
}

/** Each batch is sent when it is full, and long before the next one is. */
async function sendPaced(rig: Rig, file: string, table: CsvTable, rows: number): Promise<Sent> {
  const batching = { ...batchBounds(table, rows), maxAge: '1h', maxAgeOffline: '1h' };
  const spanMs = (table.timesUs[table.rows - 1]! - table.timesUs[0]!) / 1000;
  const speed = Math.min(SPEED_MAX, Math.max(1e-3, (spanMs / table.rows) * (rows / PACED_BATCH_MS)));
  const source = { ...replayOf(file), paced: true, speed };
  const sent = await overProxy(
    rig,
    table,
    { collector: { streamAge: '0s' }, batching, sources: [source] },
    false,
    async (status) => {
      // The last batch is not full; the agent closes and sends it when it is stopped.
      await until('the table is replayed', async () => (await status())?.sources[0]?.state === 'finished', LIMIT_MS);
    },
  );
  if (sent.streams < sent.items) throw new Error(`${sent.items} batches went in ${sent.streams} streams`);
  return sent;
}

/** An agent's status; undefined while it does not serve one yet. */
type AskStatus = () => Promise<Awaited<ReturnType<typeof readStatus>> | undefined>;

async function overProxy(
  rig: Rig,
  table: CsvTable,
  config: Record<string, unknown>,
  stalled: boolean,
  replayed: (status: AskStatus, proxy: TcpProxy) => Promise<void>,
): Promise<Sent & { streams: number; items: number }> {
  const healthPort = await freePort();
  const { port } = await rig.collector({
    health: { listen: `127.0.0.1:${healthPort}` },
    // Recordings are years old.
    retention: { readings: 'forever' },
  });
  const connections = new Map<number, TlsBytes>();
  const proxy = await TcpProxy.listen(port, 0, (connection, bytes) => {
    let counted = connections.get(connection);
    if (counted === undefined) {
      counted = new TlsBytes();
      connections.set(connection, counted);
    }
    counted.take(bytes);
  });
  try {
    proxy.set({ stalled });
    await rig.device(DEVICE);
    const agent = await rig.agent(DEVICE, proxy.port, config);
    const socket = rig.path(`${DEVICE}.sock`);
    await replayed(async () => (existsSync(socket) ? readStatus(socket) : undefined), proxy);
    if ((await agent.stop()) !== 0) throw new Error('the agent did not stop in order');
    const counted = await readMetrics(healthPort, ['item_bytes_stored_total', 'items_stored_total', 'streams_total']);
    const wireBytes = [...connections.values()].reduce((sum, { application }) => sum + application, 0);
    return {
      wireBytes,
      batchBytes: counted.item_bytes_stored_total,
      items: counted.items_stored_total,
      streams: counted.streams_total,
      lossless: await isLossless(rig, port, table),
    };
  } finally {
    await proxy.close();
  }
}

function replayOf(file: string): Record<string, unknown> {
  return { type: 'replay', name: 'table', path: file };
}

/** A batch closes by the count of its readings; what it may weigh is no bound here. */
function batchBounds({ columns }: CsvTable, rows: number): Record<string, unknown> {
  return { maxReadings: rows * columns.length, maxBytes: '512KiB' };
}

async function isLossless(rig: Rig, port: number, table: CsvTable): Promise<boolean> {
  const observer = new Observer(port, rig.operatorFiles);
  try {
    const difference = firstDifference(table, await observer.readings(DEVICE));
    if (difference !== undefined) console.error(difference);
    const audits = await observer.audit();
    const clean = audits.every(({ missing, doubled, declared }) => missing + doubled + declared.length === 0);
    return difference === undefined && clean;
  } finally {
    observer.close();
  }
}

function perReading(bytes: number, { readings }: CsvTable): number {
  return Math.round((bytes / readings) * 1000) / 1000;
}
