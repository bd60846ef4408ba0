import { readStatus } from '@tributary/agent/health/status-socket';
import type { Child } from '../rig/child.js';
import type { DeviceView } from './view.js';

/** The sources go on while the backlog drains: what two seconds bring is no backlog. */
const SOON_READINGS = 100;

/** One agent of the demo: what it says over its status socket and in its log. */
export class DemoDevice {
  child: Child | undefined;
  /** Readings that the agent has taken since its start; at the end what it said as it stopped. */
  produced = 0;
  waiting = 0;
  stored = 0;
  alertsFiring = 0;
  /** Of its own rules, which it acted upon while no collector could be reached. */
  actedWhileCutOff = 0;
  private link = 'starting';
  private alert = '';

  constructor(
    readonly name: string,
    private readonly source: string,
    private readonly socket: string,
    private readonly onEvent: (text: string) => void,
    private readonly isCutOff: () => boolean,
  ) {}

  /** Takes a line of the agent's log. */
  log(line: Record<string, unknown>): void {
    if (line.msg === 'the agent has stopped') this.produced = Number(line.readings);
    if (typeof line.msg !== 'string' || !line.msg.startsWith('alert ')) return;
    const firing = line.msg.endsWith('firing');
    // What the device has judged itself has no number of the collector.
    const isOwn = line.alert === 0;
    const isCutOff = this.isCutOff();
    if (firing && !isOwn) this.alertsFiring++;
    if (firing && isOwn && isCutOff) this.actedWhileCutOff++;
    this.alert = `${firing ? 'firing' : 'resolved'}: ${line.rule}`;
    const how = isOwn ? `acts by itself${isCutOff ? ', cut off' : ''}` : 'received';
    this.onEvent(`${this.name} ${how}: ${line.msg} (value ${line.value} ${line.unit ?? ''})`);
  }

  /** Asks the agent for its status; an agent that does not answer right now is shown as it was. */
  async ask(): Promise<void> {
    try {
      const status = await readStatus(this.socket);
      this.produced = status.readings.taken + status.readings.pending;
      this.waiting = status.buffer.readings + status.readings.pending;
      this.link = status.uplink.state;
    } catch {
      this.link = 'no answer';
    }
  }

  /** It has a connection and no backlog: what waits is only what the sources brought just now. */
  get isDelivering(): boolean {
    return ['streaming', 'awaiting', 'idle'].includes(this.link) && this.waiting <= SOON_READINGS;
  }

  view(): DeviceView {
    const { name, source, produced, waiting, stored, link, alert } = this;
    return { name, source, produced, waiting, stored, link, alert };
  }
}
