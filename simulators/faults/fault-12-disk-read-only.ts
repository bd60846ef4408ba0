import type { Fault } from './fault.js';
import { withRefusingDisk } from './fault-10-disk-full.js';

export const diskReadOnly: Fault = {
  number: 12,
  title: 'disk read-only, or without inodes',
  times: 20,
  shortTimes: 2,
  needs: ['root', 'tmpfs'],
  run: (context) =>
    withRefusingDisk(context, [
      // The kernel does not make a disk read-only under a file that is open for writing.
      { refuse: (disk) => disk.makeReadOnly(), atStart: true },
      { refuse: (disk) => disk.takeInodes(), atStart: true },
      { refuse: (disk) => disk.takeInodes(), atStart: false },
    ]),
};
