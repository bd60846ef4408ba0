import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What listens is Python, because Node has no such sockets; who sent a message is what the kernel says. */
const receiver = `
import array, json, os, socket, struct, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(sys.argv[1])
sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
print(json.dumps({"lines": [], "pid": 0}), flush=True)
while True:
    data, ancillary, flags, address = sock.recvmsg(65536, 1024)
    pid = 0
    for level, kind, value in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            pid = struct.unpack("iII", value)[0]
        if kind == socket.SCM_RIGHTS:
            # A barrier: who sent it waits until this end is closed.
            for fd in array.array("i", value[:len(value) - len(value) % 4]):
                os.close(fd)
    print(json.dumps({"lines": data.decode().split("\\n"), "pid": pid}), flush=True)
`;

/** Why the protocol cannot be tried on this machine; undefined where it can. */
export function notifyNeeds(): string | undefined {
  for (const command of ['python3', 'systemd-notify']) {
    if (spawnSync(command, ['--version']).status !== 0) return `${command} is not there`;
  }
  return undefined;
}

/** A socket as systemd's, with what was said to it. */
export class NotifySocket {
  readonly path: string;
  /** Messages in their order, each as its assignments; without those that only synchronise. */
  readonly messages: { lines: string[]; pid: number }[] = [];
  readonly #folder: string;
  readonly #process: ChildProcess;

  static async open(): Promise<NotifySocket> {
    const folder = mkdtempSync(join(tmpdir(), 'notify-'));
    const process = spawn('python3', ['-c', receiver, join(folder, 'socket')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const socket = new NotifySocket(folder, process);
    await new Promise((resolve) => process.stdout!.once('data', resolve));
    return socket;
  }

  private constructor(folder: string, process: ChildProcess) {
    this.#folder = folder;
    this.#process = process;
    this.path = join(folder, 'socket');
    createInterface({ input: process.stdout! }).on('line', (line) => {
      const message = JSON.parse(line) as { lines: string[]; pid: number };
      if (message.pid !== 0 && message.lines[0] !== 'BARRIER=1') this.messages.push(message);
    });
  }

  close(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
