import { describe, expect, it } from 'vitest';
import { ManualScheduler } from '../manual-scheduler.js';
import { RecordingHost } from '../recording-sink.js';
import type { SerialBinding, SerialPortHandlers, SerialPortOptions } from './serial-binding.js';
import { SerialSource, type SerialSourceConfig } from './serial-source.js';

/** A binding that does what the test says. */
class ScriptedBinding implements SerialBinding {
  readonly opens: { path: string; options: SerialPortOptions; handlers: SerialPortHandlers }[] = [];
  closes = 0;
  readonly written: string[] = [];
  /** What a write waits for. */
  writing: Promise<void> | undefined;
  /** Why the next opening fails; undefined lets it succeed. */
  refusal: string | undefined;
  /** Resolves openings by hand where set. */
  gate: Promise<void> | undefined;

  async open(path: string, options: SerialPortOptions, handlers: SerialPortHandlers) {
    this.opens.push({ path, options, handlers });
    await this.gate;
    if (this.refusal !== undefined) throw new Error(this.refusal);
    return {
      write: async (bytes: Uint8Array) => {
        this.written.push(Buffer.from(bytes).toString());
        await this.writing;
      },
      close: async () => {
        this.closes += 1;
      },
    };
  }

  say(text: string, port = this.opens.length - 1): void {
    this.opens[port].handlers.onData(Buffer.from(text));
  }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

function setUp(overrides: Partial<SerialSourceConfig> = {}) {
  const host = new RecordingHost();
  const binding = new ScriptedBinding();
  const scheduler = new ManualScheduler();
  const source = new SerialSource(
    {
      name: 'board',
      labels: {},
      path: '/dev/ttyTEST',
      baudRate: 9600,
      dataBits: 7,
      parity: 'even',
      stopBits: 2,
      format: { type: 'key-value' },
      seriesMax: 256,
      lineBytesMax: 64,
      discardFirstFragment: true,
      ...overrides,
    },
    host,
    // The widest wait that the jitter can give.
    { binding, scheduler, random: () => 0.999 },
  );
  return { host, binding, scheduler, source };
}

describe('SerialSource', () => {
  it('opens the port as configured and turns lines into rows at the time of their chunk', async () => {
    const { host, binding, source } = setUp();
    source.start();
    await settled();
    expect(binding.opens[0]).toMatchObject({
      path: '/dev/ttyTEST',
      options: { baudRate: 9600, dataBits: 7, parity: 'even', stopBits: 2 },
    });
    expect(host.sinks.map(({ line }) => line)).toEqual(['monotonic']);
    host.nowUs = 1000;
    binding.say('1.5\nt=21.5\nt=2');
    host.nowUs = 2000;
    binding.say('2\r\n');
    expect(host.rows).toEqual([
      { timeUs: 1000, values: { t: 21.5 } },
      { timeUs: 2000, values: { t: 22 } },
    ]);
    expect(host.drops).toEqual([{ reason: 'first_fragment', detail: '3 bytes' }]);
    await source.stop();
    expect(binding.closes).toBe(1);
    expect(host.states.map(({ state }) => state)).toEqual(['starting', 'running', 'stopped']);
  });

  it('counts bad lines by reason, with an excerpt that is printable', async () => {
    const { host, binding, source } = setUp({ discardFirstFragment: false });
    source.start();
    await settled();
    binding.say(`t=\u0007\nt=0x1F\n${'x'.repeat(100)}`);
    binding.say(`${'x'.repeat(100)}\nt=1\n`);
    expect(host.drops).toEqual([
      { reason: 'line_too_long', detail: '100 bytes' },
      { reason: 'control_character', detail: 't=\\x07' },
      { reason: 'bad_number', detail: 't=0x1F' },
    ]);
    expect(host.rows.length).toBe(1);
  });

  it('opens a new port with a new framer after an unplug, and no later than 4 s after it could', async () => {
    const { host, binding, scheduler, source } = setUp({ discardFirstFragment: false });
    source.start();
    await settled();
    binding.say('t=1\nt=9');
    binding.refusal = 'No such file or directory';
    binding.opens[0].handlers.onClose('unplugged');
    for (let attempt = 0; attempt < 10; attempt += 1) {
      scheduler.advance(4000);
      await settled();
    }
    const waits = host.states.flatMap((state) => (state.state === 'waiting' ? [state] : []));
    expect(waits[0]).toMatchObject({ why: '/dev/ttyTEST: unplugged' });
    expect(waits.at(-1)?.why).toBe('/dev/ttyTEST: No such file or directory');
    expect(Math.max(...waits.map(({ retryInMs }) => retryInMs))).toBeLessThanOrEqual(4000);
    expect(waits.at(-1)?.retryInMs).toBeGreaterThan(3000);
    binding.refusal = undefined;
    scheduler.advance(4000);
    await settled();
    binding.say('7\nt=2\n');
    expect(host.rows.map(({ values }) => values)).toEqual([{ t: 1 }, { t: 2 }]);
    expect(host.reasons).toEqual(['unfinished_line', 'malformed']);
  });

  it('waits longer and longer for a port that opens and gives nothing, and short again once it has spoken', async () => {
    const { host, binding, scheduler, source } = setUp();
    source.start();
    await settled();
    const lastWaitMs = () =>
      host.states.flatMap((state) => (state.state === 'waiting' ? [state.retryInMs] : [])).at(-1);
    for (let attempt = 0; attempt < 6; attempt += 1) {
      binding.opens[attempt].handlers.onClose('gone');
      scheduler.advance(4000);
      await settled();
    }
    expect(lastWaitMs()).toBeGreaterThan(3000);
    binding.say('\nt=1\n');
    binding.opens[6].handlers.onClose('gone');
    expect(lastWaitMs()).toBeLessThan(251);
  });

  it('does not hear what an earlier port still says', async () => {
    const { host, binding, scheduler, source } = setUp({ discardFirstFragment: false });
    source.start();
    await settled();
    binding.opens[0].handlers.onClose('gone');
    scheduler.advance(4000);
    await settled();
    binding.say('t=1\n', 0);
    binding.opens[0].handlers.onClose('again');
    binding.say('t=2\n', 1);
    expect(host.rows.map(({ values }) => values)).toEqual([{ t: 2 }]);
    expect(host.states.at(-1)).toEqual({ state: 'running' });
  });

  it('closes a port that opens after the source was stopped', async () => {
    const { host, binding, scheduler, source } = setUp();
    let openGate = () => {};
    binding.gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    source.start();
    await source.stop();
    openGate();
    await settled();
    expect(binding.closes).toBe(1);
    expect(scheduler.pending).toBe(0);
    expect(host.states.at(-1)).toEqual({ state: 'stopped' });
  });

  it('can be stopped while it waits, and started again', async () => {
    const { binding, scheduler, source } = setUp();
    binding.refusal = 'busy';
    source.start();
    await settled();
    await source.stop();
    expect(scheduler.pending).toBe(0);
    source.start();
    await settled();
    expect(binding.opens.length).toBe(2);
  });

  it('writes to an open port', async () => {
    const { binding, scheduler, source } = setUp();
    source.start();
    await settled();
    await source.write(Buffer.from('fan on\n'), 1000);
    expect(binding.written).toEqual(['fan on\n']);
    expect(scheduler.pending).toBe(0);
  });

  it('waits with a write for its first opening, and for no other', async () => {
    const { binding, scheduler, source } = setUp();
    let openGate = () => {};
    binding.gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    source.start();
    const first = source.write(Buffer.from('1'), 1000);
    openGate();
    await first;
    binding.opens[0].handlers.onClose('unplugged');
    await expect(source.write(Buffer.from('2'), 1000)).rejects.toThrow('/dev/ttyTEST: it is not open');
    binding.gate = new Promise<void>(() => {});
    scheduler.advance(4000);
    await expect(source.write(Buffer.from('3'), 1000)).rejects.toThrow('it is not open');
    expect(binding.written).toEqual(['1']);
  });

  it('gives up a write with the first opening that fails, or takes too long', async () => {
    const refused = setUp();
    refused.binding.refusal = 'no such file';
    refused.source.start();
    await expect(refused.source.write(Buffer.from('x'), 1000)).rejects.toMatchObject({ code: 'not-found' });
    const slow = setUp();
    slow.binding.gate = new Promise<void>(() => {});
    slow.source.start();
    const write = slow.source.write(Buffer.from('x'), 1000);
    slow.scheduler.advance(1000);
    await expect(write).rejects.toMatchObject({ code: 'not-found' });
    expect([...refused.binding.written, ...slow.binding.written]).toEqual([]);
  });

  it('closes a port that does not take what is written in time, and opens it anew', async () => {
    const { host, binding, scheduler, source } = setUp();
    source.start();
    await settled();
    binding.writing = new Promise<void>(() => {});
    const write = source.write(Buffer.from('x'), 1000);
    scheduler.advance(1000);
    await expect(write).rejects.toMatchObject({ code: 'deadline' });
    await settled();
    expect(binding.closes).toBe(1);
    expect(host.states.at(-1)).toMatchObject({ why: '/dev/ttyTEST: the device does not take what is written to it' });
    scheduler.advance(4000);
    await settled();
    expect(host.states.at(-1)).toEqual({ state: 'running' });
  });

  it('tells why a write has failed', async () => {
    const { binding, source } = setUp();
    source.start();
    await settled();
    binding.writing = Promise.reject(new Error('the port was closed'));
    await expect(source.write(Buffer.from('x'), 1000)).rejects.toThrow('/dev/ttyTEST: the port was closed');
  });

  it('reports silence, and its end', async () => {
    const { host, binding, scheduler, source } = setUp({ expectWithinMs: 1000 });
    source.start();
    await settled();
    scheduler.advance(900);
    binding.say('\nt=1\n');
    scheduler.advance(900);
    expect(host.states.at(-1)).toEqual({ state: 'running' });
    scheduler.advance(200);
    expect(host.states.at(-1)).toMatchObject({
      state: 'waiting',
      why: '/dev/ttyTEST: open, but no line for 1000 ms',
    });
    binding.say('t=2\n');
    expect(host.states.at(-1)).toEqual({ state: 'running' });
    await source.stop();
    expect(scheduler.pending).toBe(0);
  });
});
