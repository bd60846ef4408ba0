import { afterEach, describe, expect, it } from 'vitest';
import { countReadings } from '../rig/observer.js';
import { until } from '../rig/until.js';
import { Scene } from './scene.js';

let scene: Scene;

afterEach(() => scene.close());

/** A batch goes up every half a second, and nothing is on its way most of the time. */
const sensors = {
  type: 'simulator',
  name: 'sensors',
  interval: '500ms',
  series: Array.from({ length: 20 }, (_, at) => ({ name: `vibration-${at}`, model: 'vibration' })),
};

/** A stream with a batch of those takes about 230 bytes on the connection, and anything else less than 100. */
const BATCH_BYTES = 150;

const untilNothingWaits = () => scene.untilStatus('device', 'nothing waits', ({ buffer }) => buffer.items === 0);

/** Answers whether the collector has more than it had, within a few batches. */
async function isMoreStored(): Promise<boolean> {
  const before = (await scene.observer.sums()).stored;
  const more = until('more is stored', async () => (await scene.observer.sums()).stored > before, 3000);
  return more.catch(() => false);
}

/**
 * Stalls the link, and answers whether a stream with a batch has gone into it since: not when the device was just waiting
 * for an answer, which it does before it sends more. Then the link is sound again.
 */
async function isBatchStalled(): Promise<boolean> {
  await untilNothingWaits();
  scene.proxy.set({ stalled: true });
  const sound = scene.proxy.stats().bytesUp;
  let bytesUp = sound;
  const goneUp = until(
    'a whole stream is on its way',
    () => {
      const last = bytesUp;
      bytesUp = scene.proxy.stats().bytesUp;
      return bytesUp > sound + BATCH_BYTES && bytesUp === last;
    },
    3000,
  );
  const isStalled = await goneUp.catch(() => false);
  if (!isStalled) scene.proxy.heal();
  return isStalled;
}

async function expectAllStoredOnce(produced: number): Promise<void> {
  const { stored, missing, doubled, declared } = await scene.observer.sums();
  expect({ stored, missing, doubled, declared }).toEqual({ stored: produced, missing: 0, doubled: 0, declared: 0 });
  expect(countReadings(await scene.observer.readings('device'))).toBe(produced);
}

/** Each batch in a stream of its own: whose answer is lost is known then. */
const prompt = { streamAge: '0s' };

describe('a link that loses answers', () => {
  it('doubles nothing: what is in doubt is settled by the next registration', async () => {
    scene = await Scene.open('answers');
    await scene.rig.device('device');
    await scene.agent('device', [sensors], { collector: prompt });
    let answersLost = 0;
    for (let round = 0; round < 6 && answersLost < 3; round++) {
      const { uplink } = await untilNothingWaits();
      scene.proxy.set({ dropDown: true });
      // It goes up and is committed, and the device never hears of it; unless something was on its way just now.
      if (await isMoreStored()) answersLost++;
      const { buffer } = await scene.status('device');
      expect(buffer.items).toBeGreaterThan(0);
      scene.proxy.cut();
      scene.proxy.heal();
      await scene.untilStatus(
        'device',
        'it has registered anew and goes on',
        (status) =>
          status.uplink.registrations > uplink.registrations &&
          status.uplink.streams.answered > uplink.streams.answered,
      );
    }
    expect(answersLost).toBe(3);
    await expectAllStoredOnce(await scene.settle('device'));
  });

  it('drops and counts what comes twice: packets of a dead connection that arrive after their repetition', async () => {
    scene = await Scene.open('twice');
    await scene.rig.device('device');
    await scene.agent('device', [sensors], { collector: prompt });
    expect(await isMoreStored()).toBe(true);
    let attempts = 0;
    while (!(await isBatchStalled())) expect(++attempts).toBeLessThan(5);
    const { buffer } = await scene.status('device');
    scene.proxy.strand();
    scene.proxy.heal();
    await scene.untilStatus(
      'device',
      'it has sent the same again, and knows that it is stored',
      ({ buffer: now }) => now.oldestSequence === 0 || now.oldestSequence > buffer.highestSequence,
    );
    const before = await scene.observer.sums();
    scene.proxy.deliverStranded();
    await until('the repetition is counted', async () => {
      const { duplicatesDropped } = await scene.observer.sums();
      return duplicatesDropped > before.duplicatesDropped;
    });
    await expectAllStoredOnce(await scene.settle('device'));
  });
});
