import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { AgentStatus } from './agent-status.js';

/** A status is some kilobytes with the most sources that an agent may have; more is no agent. */
const answerBytesMax = 1_048_576;

/** An agent answers from memory; one that takes longer is stuck, which is what the caller wants to know. */
const answerMs = 5000;

/** People and scripts ask one at a time; more at once is a mistake. */
const connectionsMax = 16;

/**
 * Serves the status on a Unix socket: whoever connects is sent one line of JSON. Only the agent's own user may. Resolves
 * once it listens. A socket file that a killed agent has left is replaced; one that somebody serves is `busy`.
 */
export async function serveStatus(path: string, status: () => Promise<AgentStatus>): Promise<() => Promise<void>> {
  if (await isServed(path)) throw new TributaryError('busy', `${path}: another agent serves its status there`);
  try {
    // Whatever else is configured by mistake, such as the buffer's own file, is left alone.
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Nothing was left behind; whatever else is wrong shows when listening.
  }
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A client that goes away has what it wanted.
    socket.on('error', () => socket.destroy());
    socket.setTimeout(answerMs, () => socket.destroy());
    status().then(
      (value) => socket.end(`${JSON.stringify(value)}\n`),
      () => socket.destroy(),
    );
  });
  server.maxConnections = connectionsMax;
  await listen(server, path);
  chmodSync(path, 0o600);
  // The status alone keeps no agent running.
  server.unref();
  return () =>
    new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(TributaryError.from(error)));
    server.listen(path, resolve);
  });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Asks the agent behind a socket for its status. Throws a `TributaryError` when there is none, or no answer in time. */
export function readStatus(path: string): Promise<AgentStatus> {
  return new Promise((resolve, reject) => {
    const fail = (error: TributaryError) => {
      socket.destroy();
      reject(error);
    };
    let text = '';
    const socket = connect(path);
    socket.setEncoding('utf8');
    socket.setTimeout(answerMs, () => fail(new TributaryError('deadline', `${path}: the agent does not answer`)));
    socket.on('error', (error) => {
      const { code, message } = TributaryError.from(error);
      fail(new TributaryError(code, `${message}; is the agent running?`, { cause: error }));
    });
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > answerBytesMax) fail(new TributaryError('corrupt', `${path}: this is no agent's status`));
    });
    socket.on('end', () => {
      try {
        resolve(JSON.parse(text) as AgentStatus);
      } catch (cause) {
        fail(new TributaryError('corrupt', `${path}: the agent's answer was cut off`, { cause }));
      }
    });
  });
}
