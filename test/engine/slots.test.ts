import fc from 'fast-check';
import { systemClock } from '../../lib/engine';
import type { DiskReader } from '../../lib/engine/data/extent';
import { Pace } from '../../lib/engine/data/pace';
import { Neighbours } from '../../lib/engine/neighbours';
import { Queues } from '../../lib/engine/queues';
import { Slots } from '../../lib/engine/slots';
import { jobDefaults } from '../../lib/planner/job';
import type { RunEvent } from '../../lib/engine';
import type { SlotNeed } from '../../lib/planner/slots';
import type { SimulatorSpec } from '../../lib/simulator';
import { compareNewest } from './inspect';
import { defaultSpec, guestWrites, Site } from './site';

const never = new AbortController().signal;

test('whatever is asked for, no place is ever too full, all of it is done, and failures give their room back', async () => {
  const place = fc.constantFrom('pool', 'a', 'b', 't');
  const work = fc.record({
    run: fc.constantFrom('one', 'two'),
    places: fc.uniqueArray(place, { minLength: 1 }),
    fails: fc.boolean(),
  });
  const limits = fc.record({ pool: fc.nat(4), a: fc.nat(3), b: fc.nat(3), t: fc.nat(3) });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(work, { maxLength: 20 }),
      limits,
      async (scheduler, all, limit) => {
        const slots = new Slots();
        const needs = (places: readonly (keyof typeof limit)[]): readonly SlotNeed[] =>
          places.map((one) => ({ place: one, most: limit[one] }));
        const inUse = new Map<string, number>();
        const change = (places: readonly string[], by: number): void => {
          for (const one of places) inUse.set(one, (inUse.get(one) ?? 0) + by);
          for (const [one, count] of inUse)
            expect(count).toBeLessThanOrEqual(Math.max(1, limit[one as keyof typeof limit]));
        };
        let done = 0;
        const running = all.map(({ run, places, fails }) =>
          slots
            .run(
              run,
              needs(places),
              async () => {
                change(places, 1);
                await scheduler.schedule(Promise.resolve());
                change(places, -1);
                done += 1;
                if (fails) throw new Error('on purpose');
              },
              never,
            )
            .catch((error: unknown) => {
              if (!(error instanceof Error) || error.message !== 'on purpose') throw error;
            }),
        );
        await scheduler.waitFor(Promise.all(running));
        expect(done).toBe(all.length);
        expect(slots.areFull('three', needs(['pool', 'a', 'b', 't']))).toBe(false);
      },
    ),
  );
});

test('who is told to stop while waiting does not begin, and does not hold up the others', async () => {
  const slots = new Slots();
  const alone = (...places: readonly string[]): readonly SlotNeed[] =>
    places.map((place) => ({ place, most: 1 }));
  const stop = new AbortController();
  let leave = (): void => undefined;
  let first = Promise.resolve();
  await new Promise<void>((begun) => {
    const stay = (): Promise<void> =>
      new Promise<void>((resolve) => {
        leave = resolve;
        begun();
      });
    first = slots.run('one', alone('a'), stay, never);
  });
  const stopped = slots.run('two', alone('a'), () => Promise.reject(new Error('it began')), stop.signal);
  const third = slots.run('three', alone('a'), () => Promise.resolve('done'), never);
  expect(slots.areFull('one', alone('a', 'b'))).toBe(true);
  expect(slots.areFull('one', alone('b'))).toBe(false);
  stop.abort(new Error('no more'));
  // It leaves the line at once, and does not wait for the first to end.
  await expect(stopped).rejects.toThrow('no more');
  leave();
  await first;
  expect(await third).toBe('done');
});

test('a job that allows one transfer has no other job wait for the end of a long one', async () => {
  const slots = new Slots();
  const at = (most: number): readonly SlotNeed[] => [{ place: 'pool', most }];
  let end = (): void => undefined;
  const long = slots.run('A', at(8), () => new Promise<void>((resolve) => (end = resolve)), never);
  const others = ['B', 'B', 'C', 'C'].map((run) =>
    slots.run(run, at(run === 'B' ? 1 : 8), () => Promise.resolve(run), never),
  );
  expect(await Promise.all(others)).toEqual(['B', 'B', 'C', 'C']);
  end();
  await long;
});

test('the limit of a job counts no longer than anybody is there', async () => {
  const slots = new Slots();
  const at = (most: number): readonly SlotNeed[] => [{ place: 'pool', most }];
  await slots.run('A', at(8), () => Promise.resolve(), never);
  await slots.run(
    'B',
    at(1),
    () => {
      expect(slots.areFull('C', at(1))).toBe(true);
      expect(slots.areFull('C', at(2))).toBe(false);
      return Promise.resolve();
    },
    never,
  );
});

const mib = 1024 ** 2;

function twoStorages(): SimulatorSpec {
  const [source, target] = defaultSpec.pools;
  if (source === undefined || target === undefined) throw new Error('two pools expected');
  const srs = ['sr-a', 'sr-b'].map((name) => ({ name, type: 'ext' as const, sizeBytes: 1024 * mib }));
  const disks = [0, 1, 2, 3].map((device) => ({
    device,
    sizeBytes: 8 * mib,
    sr: device < 2 ? 'sr-a' : 'sr-b',
  }));
  return {
    ...defaultSpec,
    pools: [{ ...source, srs, vms: [{ name: 'db1', tags: ['protect'], disks }] }, target],
  };
}

/** The most disks between being opened and being copied. */
function mostAtOnce(events: readonly RunEvent[]): number {
  let open = 0;
  return events.reduce((most, { kind }) => {
    if (kind === 'disk-opened') open += 1;
    if (kind === 'disk-copied') open -= 1;
    return Math.max(most, open);
  }, 0);
}

test.each([
  [{ transfersPerPool: 8, transfersPerSr: 1 }, 1],
  [{ transfersPerPool: 2, transfersPerSr: 4 }, 2],
])('a VM with disks on two SRs, %j: at most %d at once', async (few, most) => {
  await using site = await Site.start(twoStorages());
  const { control } = site.source;
  const job = await site.job({ limits: { ...jobDefaults.limits, ...few } });
  const write = async (atBytes: number): Promise<void> => {
    for (const device of [0, 1, 2, 3])
      await guestWrites(control, 'db1', device, [{ atBytes, lengthBytes: 4096, fill: device + 1 }]);
  };
  await write(0);
  const first = await site.run(job);
  await write(4 * mib);
  const second = await site.run(job);

  expect(mostAtOnce(first.events)).toBe(most);
  expect([first.report.ok, second.report.ok]).toEqual([true, true]);
  for (const { source, target } of await compareNewest(site, second.report)) expect(target).toBe(source);
});

test('no more readers stay open between comparing and copying than are copied at once', () => {
  const queues = new Queues({
    run: 'run',
    limits: { transfersPerPool: 8, transfersPerSr: 2 },
    pools: ['source', 'target'],
    pace: new Pace(() => null, systemClock),
    nice: null,
    neighbours: new Neighbours(),
  });
  const reader = (): DiskReader => ({ changedBytes: 1 }) as Partial<DiskReader> as DiskReader;
  const [one, two, three] = [reader(), reader(), reader()];
  expect([queues.keep(one), queues.keep(two), queues.keep(three)]).toEqual([true, true, false]);
  queues.letGo(one);
  expect(queues.keep(three)).toBe(true);
});
