import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NotifyWorld, webhookYaml } from './notify-world.fixture.js';
import { WebhookServer } from './webhook-server.fixture.js';

/** Longer than any lease, and than what an inhibition is looked at again after. */
const LONG_SECONDS = 600;

type Step =
  | { do: 'fire' | 'resolve'; quiet: boolean }
  | { do: 'kill' | 'second' | 'silence' | 'speak' | 'pass' | 'settle' }
  | { do: 'answer'; status: number | 'hangs up' | 'takes and hangs up' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('fire', 'resolve'), quiet: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('kill', 'second', 'silence', 'speak', 'pass', 'settle') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      status: fc.constantFrom<200 | 500 | 422 | 'hangs up' | 'takes and hangs up'>(
        200,
        500,
        422,
        'hangs up',
        'takes and hangs up',
      ),
    }),
  },
) as fc.Arbitrary<Step>;

/** Runs a history to its end, with everything in order at last, and answers what the receiver took, in order. */
async function run(
  steps: readonly Step[],
): Promise<{ taken: string[]; open: Set<number>; over: Set<number>; quiet: Set<number> }> {
  const world = await NotifyWorld.open();
  const server = new WebhookServer();
  await server.start();
  const taken: string[] = [];
  const answerWith = (status: (Step & { do: 'answer' })['status']) => {
    server.answer = (response, { body: { data } }) => {
      const word = `${data.state} ${Number.parseInt(data.incident.slice(0, 2), 16)}`;
      if (status === 200 || status === 'takes and hangs up') taken.push(word);
      if (typeof status === 'number') response.writeHead(status).end();
      else response.destroy();
    };
  };
  answerWith(200);
  const yaml = webhookYaml('a', server.url, ', giveUpAfter: 30d');
  const [open, over, quiet] = [new Set<number>(), new Set<number>(), new Set<number>()];
  const processes = [await world.mortalNotifier(yaml)];
  let silence: string | undefined;
  try {
    for (const one of steps) {
      if (one.do === 'fire') {
        const incident = open.size + over.size + 1;
        open.add(incident);
        if (one.quiet) quiet.add(incident);
        await world.fire(incident, { rule: one.quiet ? 'quiet' : 'loud' });
      } else if (one.do === 'resolve') {
        const incident = [...open].find((candidate) => quiet.has(candidate) === one.quiet);
        if (incident === undefined) continue;
        open.delete(incident);
        over.add(incident);
        await world.resolve(incident, { rule: one.quiet ? 'quiet' : 'loud' });
      } else if (one.do === 'answer') {
        answerWith(one.status);
      } else if (one.do === 'kill') {
        await processes.shift()?.kill();
        if (processes.length === 0) processes.push(await world.mortalNotifier(yaml));
      } else if (one.do === 'second') {
        if (processes.length < 3) processes.push(await world.mortalNotifier(yaml));
      } else if (one.do === 'silence') {
        silence ??= await world.silence({ rule: 'quiet' }, 86_400);
      } else if (one.do === 'speak' && silence !== undefined) {
        await world.store.expireSilence(silence, world.nowUs());
        silence = undefined;
        world.wake();
      } else if (one.do === 'pass') {
        await world.passAtRest(LONG_SECONDS);
      } else {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    answerWith(200);
    if (silence !== undefined) await world.store.expireSilence(silence, world.nowUs());
    await world.until(async () => {
      await world.passAtRest(LONG_SECONDS);
      const [state] = await world.store.receiverStates();
      return state?.oldestUs === undefined;
    });
  } finally {
    await world.close();
    await server.kill();
  }
  return { taken, open, over, quiet };
}

describe('whatever dies, refuses or is silenced on the way', () => {
  it('everybody is told of each beginning and end at least once, in order, and of no end alone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const { taken, open, over, quiet } = await run(steps);
        for (const incident of [...open, ...over]) {
          const [first, last] = [taken.indexOf(`firing ${incident}`), taken.lastIndexOf(`firing ${incident}`)];
          const end = taken.indexOf(`resolved ${incident}`);
          // What was silenced until it was over is told to nobody; everything else is told.
          if (open.has(incident) || !quiet.has(incident))
            expect(first, `beginning of ${incident}`).toBeGreaterThanOrEqual(0);
          if (over.has(incident) && first >= 0) expect(end, `end of ${incident}`).toBeGreaterThan(last);
          else expect(end, `end of ${incident}, of which nobody was told`).toBe(-1);
        }
      }),
      { numRuns: 25 },
    );
    // A failing history is made small before it is shown.
  }, 300_000);
});
