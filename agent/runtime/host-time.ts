import { readFileSync, statSync } from 'node:fs';
import { bootId } from '@tributary/core/clock/boot-id';

/** What a machine tells about its clocks beside their readings. */
export interface HostTime {
  /** Names this boot, as hexadecimal text. */
  readonly bootId: string;
  /** When a time service last found the wall clock right, in microseconds of that clock; undefined when none has. */
  synchronizedAtUs(): number | undefined;
  /** Microseconds since the boot, with those asleep; undefined where nobody tells. */
  sinceBootUs(): number | undefined;
}

/**
 * The modification time of this file is that of the latest successful synchronization since the boot
 * (systemd-timesyncd.service(8)). chrony and ntpd tell it over sockets of their own and in no file; devices with those know
 * the time from the exchange with the collector.
 */
const synchronizedFile = '/run/systemd/timesync/synchronized';

/** Its first number is of CLOCK_BOOTTIME, in seconds with two digits behind the point (proc_uptime(5)). */
const uptimeFile = '/proc/uptime';

/** The machine that this process runs on. */
export function hostTime(files = { synchronized: synchronizedFile, uptime: uptimeFile }): HostTime {
  return {
    bootId: Buffer.from(bootId()).toString('hex'),
    synchronizedAtUs: () => {
      const stat = statSync(files.synchronized, { throwIfNoEntry: false });
      return stat === undefined ? undefined : Math.floor(stat.mtimeMs * 1000);
    },
    sinceBootUs: () => {
      try {
        const seconds = Number.parseFloat(readFileSync(files.uptime, 'latin1'));
        return Number.isFinite(seconds) ? Math.round(seconds * 1e6) : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
