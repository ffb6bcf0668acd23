import { randomUUID } from 'node:crypto';
import { systemClock } from '../../lib/engine';
import type { RunContext } from '../../lib/engine';
import { acquireLock, leaseMs } from '../../lib/engine/lock';
import { Site } from './site';

const name = { jobId: 'job', vmUuid: '11111111-2222-4333-8444-555555555555' };

function context(): RunContext {
  return {
    runId: randomUUID(),
    who: 'a test',
    clock: systemClock,
    signal: new AbortController().signal,
    emit: () => undefined,
  };
}

describe('the run lock', () => {
  let site: Site;

  beforeEach(async () => {
    site = await Site.start();
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  test('is held by one run at a time; the second is told who holds it', async () => {
    const target = await site.connect('target');
    const first = await acquireLock(target, name, context(), 0, () => undefined);
    await expect(acquireLock(target, name, context(), 0, () => undefined)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('a test') as unknown,
    });
    await first.release();
    const second = await acquireLock(target, name, context(), 0, () => undefined);
    expect(second.number).toBe(first.number + 1);
    await second.release();
  });

  test('of a dead holder is taken over when its lease has run out by the pool’s clock', async () => {
    const target = await site.connect('target');
    const dead = await acquireLock(target, name, context(), 0, () => undefined);
    await site.target.control.advanceClock(leaseMs + 1000);
    const next = await acquireLock(target, name, context(), 0, () => undefined);
    expect(next.number).toBe(dead.number + 1);
    // The dead one wakes up: it must not touch anything more.
    await expect(dead.check()).rejects.toMatchObject({ code: 'lock-lost', retry: 'never' });
    await expect(next.check()).resolves.toEqual(expect.any(Number));
    await Promise.all([dead.release(), next.release()]);
  });

  test('is renewed by a check that finds too little of the lease left', async () => {
    const target = await site.connect('target');
    const lock = await acquireLock(target, name, context(), 0, () => undefined);
    for (let round = 0; round < 4; round += 1) {
      await site.target.control.advanceClock(leaseMs * 0.75);
      await lock.check();
    }
    await expect(acquireLock(target, name, context(), 0, () => undefined)).rejects.toMatchObject({
      code: 'locked',
    });
    await lock.release();
  });

  test('is renewed once by checks that come together, as those of several disks do', async () => {
    const target = await site.connect('target');
    const lock = await acquireLock(target, name, context(), 0, () => undefined);
    await site.target.control.advanceClock(leaseMs * 0.75);
    await expect(Promise.all([lock.check(), lock.check(), lock.check()])).resolves.toHaveLength(3);
    await lock.release();
  });

  test('who waits for it hears so again and again, until it is free', async () => {
    const target = await site.connect('target');
    const first = await acquireLock(target, name, context(), 0, () => undefined);
    let nowMs = 0;
    const clock = {
      nowMs: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
        if (nowMs >= 40_000) await first.release();
      },
    };
    const said: number[] = [];
    const second = await acquireLock(target, name, { ...context(), clock }, 60_000, () => said.push(nowMs));
    expect(said).toEqual([0, 16_000, 32_000]);
    clock.sleep = () => new Promise(() => undefined);
    await second.release();
  });

  test('racing for an expired lock lets exactly one in', async () => {
    const target = await site.connect('target');
    const dead = await acquireLock(target, name, context(), 0, () => undefined);
    await site.target.control.advanceClock(leaseMs + 1000);
    const racers = await Promise.allSettled(
      Array.from({ length: 6 }, async () => acquireLock(target, name, context(), 0, () => undefined)),
    );
    const won = racers.filter((racer) => racer.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await dead.release();
    await won[0]?.value.release();
  });

  test('leaves only the highest number behind, however often it was taken', async () => {
    const target = await site.connect('target');
    for (let round = 0; round < 5; round += 1) {
      await (await acquireLock(target, name, context(), 0, () => undefined)).release();
    }
    const config = await target.call('pool.get_other_config', [target.ref]);
    const numbers = new Set(
      Object.keys(config).map((key) => /^xenrepl:lock:[^:]+:[^:]+:(\d+)/.exec(key)?.[1]),
    );
    numbers.delete(undefined);
    expect([...numbers]).toEqual(['5']);
  });

  test('two runs of one job at once: one replicates, the other says that it is locked', async () => {
    const job = await site.job();
    const [one, other] = await Promise.all([site.run(job), site.run(job)]);
    const kinds = [one, other].map(({ report }) => report.vms[0]?.outcome.kind).sort();
    expect(kinds).toEqual(['locked', 'replicated']);
  });
});
