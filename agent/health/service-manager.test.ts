import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NotifySocket, notifyNeeds } from './notify-socket.fixture.js';
import { ServiceManager } from './service-manager.js';

const silent = pino({ level: 'silent' });
const needs = notifyNeeds();

describe(`a service manager${needs === undefined ? '' : ` (skipped: ${needs})`}`, () => {
  let socket: NotifySocket;
  beforeEach(async (context) => {
    if (needs !== undefined) context.skip();
    socket = await NotifySocket.open();
  });
  afterEach(() => socket?.close());

  it('is told over its socket, in order, by processes that are still there when it looks', async () => {
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '90000000' };
    const manager = ServiceManager.fromEnvironment(env, silent)!;
    expect(manager.watchdogMs).toBe(90_000);
    void manager.ready('samples');
    void manager.alive('uplink idle,\n0 readings wait\nREADY=0');
    void manager.reloading(4711);
    void manager.ready('samples');
    await manager.stopping();
    expect(socket.messages.map(({ lines }) => lines)).toEqual([
      ['READY=1', 'STATUS=samples'],
      ['WATCHDOG=1', 'STATUS=uplink idle, 0 readings wait READY=0'],
      ['RELOADING=1', 'MONOTONIC_USEC=4711'],
      ['READY=1', 'STATUS=samples'],
      ['STOPPING=1', 'STATUS=stops'],
    ]);
    for (const { pid } of socket.messages) expect(pid).toBeGreaterThan(1);
  });
});

describe('without a service manager', () => {
  it('nothing is told, and a manager that is gone is a warning', async () => {
    expect(ServiceManager.fromEnvironment({}, silent)).toBeUndefined();
    const lines: string[] = [];
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: '/nonexistent/notify' };
    await ServiceManager.fromEnvironment(env, pino({}, { write: (line: string) => lines.push(line) }))!.ready(
      'samples',
    );
    expect(JSON.parse(lines[0])).toMatchObject({ msg: 'the service manager could not be told', message: 'READY=1' });
  });

  it('a watchdog of another process, or a senseless one, is not this one', () => {
    const of = (env: NodeJS.ProcessEnv) =>
      ServiceManager.fromEnvironment({ NOTIFY_SOCKET: '/x', ...env }, silent)!.watchdogMs;
    expect(of({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(process.pid) })).toBe(30_000);
    expect(of({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' })).toBeUndefined();
    expect(of({ WATCHDOG_USEC: 'soon' })).toBeUndefined();
    expect(of({})).toBeUndefined();
  });
});
