import { randomUUID } from 'node:crypto';
import { systemClock, verifyJob } from '../../../lib/engine';
import type { VerifyJobOptions, VerifyReport } from '../../../lib/engine';
import type { JobDefinition } from '../../../lib/planner/job';
import { keepLatest } from '../../../lib/planner/job';
import { decode, own } from '../../../lib/planner/keys';
import type { SimulatorSpec } from '../../../lib/simulator';
import { disksOf } from '../inspect';
import { defaultSpec, guestWrites, Site } from '../site';

const mib = 1024 ** 2;

const withNbd: SimulatorSpec = {
  ...defaultSpec,
  pools: defaultSpec.pools.map((pool) => ({
    ...pool,
    networks: pool.networks.map((network) => ({ ...network, purpose: 'nbd' as const })),
  })),
};

/** A recovery point of a VM with 24 MiB on its first disk; what it is made of. */
async function replicated(
  site: Site,
  job: Partial<JobDefinition> = {},
): Promise<{ readonly job: JobDefinition; readonly point: string; readonly snapshot: string }> {
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 24 * mib, fill: 7 }]);
  const definition = await site.job(job);
  const outcome = (await site.run(definition)).report.vms[0]?.outcome;
  if (outcome?.kind !== 'replicated') throw new Error(JSON.stringify(outcome));
  return { job: definition, point: outcome.point.uuid, snapshot: outcome.sourceSnapshot.uuid };
}

async function verified(
  site: Site,
  job: JobDefinition,
  changes: Partial<VerifyJobOptions> = {},
  random: () => number = Math.random,
): Promise<VerifyReport> {
  return verifyJob({
    job,
    source: await site.connect('source'),
    target: await site.connect('target'),
    onlyVms: null,
    points: 'newest',
    mode: 'full',
    sampleBytes: 0,
    context: {
      runId: randomUUID(),
      clock: systemClock,
      signal: new AbortController().signal,
      emit: () => undefined,
      random,
    },
    ...changes,
  });
}

async function flip(site: Site, side: 'source' | 'target', vm: string, atBytes: number): Promise<void> {
  const disk = (await disksOf(site, side, vm)).get('0') ?? '';
  await site[side].control.writeDisk(disk, atBytes, Buffer.alloc(512, 0x5a));
}

async function destroyDisks(site: Site, vm: string): Promise<void> {
  const source = await site.connect('source');
  for (const uuid of (await disksOf(site, 'source', vm)).values()) {
    await source.call('VDI.destroy', [await source.call('VDI.get_by_uuid', [uuid])]);
  }
}

function summary({ points }: VerifyReport): readonly unknown[] {
  return points.map(({ outcome, disks }) => [
    outcome.kind,
    ...disks.map(({ device, against, differingBlocks }) => `${device} ${against} ${String(differingBlocks)}`),
  ]);
}

describe('in full', () => {
  test('a good recovery point is equal to its source snapshot, and says so', async () => {
    await using site = await Site.start();
    const { job, point } = await replicated(site);
    const report = await verified(site, job);
    expect(report.ok).toBe(true);
    expect(summary(report)).toEqual([['equal', '0 source 0', '1 source 0']]);
    expect(report.points[0]?.disks.map(({ comparedBytes }) => comparedBytes)).toEqual([32 * mib, 64 * mib]);
    const target = await site.connect('target');
    const config = await target.call('VM.get_other_config', [await target.call('VM.get_by_uuid', [point])]);
    expect(own(decode.verified(config, point))).toMatchObject({ equal: true, mode: 'full' });
  });

  test('one wrong sector is found, placed, kept on the point; no delta is built on it any more', async () => {
    await using site = await Site.start();
    const { job, point } = await replicated(site);
    await flip(site, 'target', point, 21 * mib);
    const report = await verified(site, job);
    expect(report.ok).toBe(false);
    expect(summary(report)).toEqual([['differs', '0 source 1', '1 source 0']]);
    expect(report.points[0]?.disks[0]?.firstDifferenceBytes).toBe(20 * mib);

    const next = (await site.run(job)).report.vms[0]?.outcome;
    expect(next).toMatchObject({ kind: 'blocked' });
    expect(JSON.stringify(next)).toContain('its last verification found that it is not');
    const healed = await site.run({ ...job, onMissingBase: 'full', onDivergence: 'overwrite' });
    expect(healed.report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'full' });
    expect((await verified(site, job)).ok).toBe(true);
  });

  test('a sample that misses what a full one found takes nothing back; a full one does', async () => {
    await using site = await Site.start();
    const { job, point } = await replicated(site);
    await flip(site, 'target', point, 21 * mib);
    await verified(site, job);
    const sample = await verified(site, job, { mode: 'sampled', sampleBytes: 4 * mib });
    expect(sample.ok).toBe(false);
    expect(summary(sample)).toEqual([['differed-before', '0 source 0', '1 source 0']]);
    expect((await site.run(job)).report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
    const fills = Buffer.alloc(512, 7);
    await site.target.control.writeDisk(
      (await disksOf(site, 'target', point)).get('0') ?? '',
      21 * mib,
      fills,
    );
    expect(summary(await verified(site, job))).toEqual([['equal', '0 source 0', '1 source 0']]);
  });

  test('a difference is kept though another disk cannot be read', async () => {
    await using site = await Site.start();
    const { job, point } = await replicated(site);
    await flip(site, 'target', point, 21 * mib);
    const effect = { kind: 'cut', afterBytes: 100 } as const;
    await site.target.control.addFault({ match: { transfer: 'export' }, skip: 1, max: 9, effect });
    const report = await verified(site, job);
    expect(report.points[0]?.outcome).toMatchObject({ kind: 'failed' });
    expect(report.points[0]?.disks).toMatchObject([{ device: '0', differingBlocks: 1 }]);
    await site.target.control.clearFaults();
    expect((await site.run(job)).report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
  });

  test('no delta starts from an older point that was not looked at since: it may be where the wrong bytes came from', async () => {
    await using site = await Site.start();
    const effect = { kind: 'corrupt', atByte: 21 * mib } as const;
    await site.target.control.addFault({ match: { transfer: 'import' }, max: 1, effect });
    const { job, point } = await replicated(site, { retention: keepLatest(3, 3) });
    const change = (fill: number): Promise<void> =>
      guestWrites(site.source.control, 'db1', 0, [{ atBytes: 4 * mib, lengthBytes: 4096, fill }]);
    await change(9);
    expect((await site.run(job)).report.ok).toBe(true);
    expect((await verified(site, job)).points[0]?.outcome.kind).toBe('differs');
    await change(10);
    const next = await site.run(job);
    expect(next.report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
    expect(JSON.stringify(next.report)).toContain('this one was not verified in full since');
    // The wrong sector came with the first copy, as a look at it shows.
    expect((await verified(site, job, { points: { uuid: point } })).points[0]?.outcome.kind).toBe('differs');
  });

  test('an older point that was compared as a whole since is a base', async () => {
    await using site = await Site.start();
    const { job, point } = await replicated(site, { retention: keepLatest(3, 3) });
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 4 * mib, lengthBytes: 4096, fill: 9 }]);
    const second = (await site.run(job)).report.vms[0]?.outcome;
    if (second?.kind !== 'replicated') throw new Error(JSON.stringify(second));
    await flip(site, 'target', second.point.uuid, 4 * mib);
    expect((await verified(site, job)).points[0]?.outcome.kind).toBe('differs');
    expect((await verified(site, job, { points: { uuid: point } })).ok).toBe(true);
    const third = await site.run({ ...job, onDivergence: 'overwrite' });
    expect(third.report.vms[0]?.outcome).toMatchObject({ kind: 'replicated', copyKind: 'delta' });
    expect((await verified(site, job)).ok).toBe(true);
  });

  test('two at once leave one result', async () => {
    await using site = await Site.start();
    const { job, point } = await replicated(site);
    const reports = await Promise.all([verified(site, job), verified(site, job)]);
    expect(reports.map(({ ok }) => ok)).toEqual([true, true]);
    const target = await site.connect('target');
    const config = await target.call('VM.get_other_config', [await target.call('VM.get_by_uuid', [point])]);
    expect(own(decode.verified(config, point))).toMatchObject({ equal: true });
  });

  test('all recovery points, or one by its uuid', async () => {
    await using site = await Site.start();
    const { job, point } = await replicated(site, { retention: keepLatest(3, 3) });
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 4 * mib, lengthBytes: 4096, fill: 9 }]);
    await site.run(job);
    expect(summary(await verified(site, job, { points: 'all' })).length).toBe(2);
    const one = await verified(site, job, { points: { uuid: point.toUpperCase() } });
    expect(one.points.map((found) => found.point.uuid)).toEqual([point]);
    await expect(verified(site, job, { points: { uuid: randomUUID() } })).rejects.toThrow(
      /^Job "site" .* has no recovery point /,
    );
  });
});

describe('without the source snapshot', () => {
  test('a first copy is held against the digest of what was written', async () => {
    await using site = await Site.start();
    const { job, point, snapshot } = await replicated(site);
    await destroyDisks(site, snapshot);
    expect(summary(await verified(site, job))).toEqual([['equal', '0 digest 0', '1 digest 0']]);
    await flip(site, 'target', point, 21 * mib);
    expect(summary(await verified(site, job, { source: null }))[0]).toEqual([
      'differs',
      '0 digest 16',
      '1 digest 0',
    ]);
  });

  test('a delta is held against the digest of an earlier full verification, and is not verifiable without', async () => {
    await using site = await Site.start();
    const { job } = await replicated(site);
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 4 * mib, lengthBytes: 4096, fill: 9 }]);
    await site.run(job);
    const before = await verified(site, job, { source: null });
    expect(before.ok).toBe(false);
    expect(summary(before)).toEqual([['not-verifiable', '0 nothing 0', '1 nothing 0']]);
    expect(before.points[0]?.disks[0]?.reason).toBe(
      'the source pool does not answer, and no digest of the whole disk was recorded',
    );
    expect((await verified(site, job)).ok).toBe(true);
    // A sample in between proves less: it takes nothing away.
    expect((await verified(site, job, { mode: 'sampled', sampleBytes: 4 * mib })).ok).toBe(true);
    expect(summary(await verified(site, job, { source: null }))).toEqual([
      ['equal', '0 digest 0', '1 digest 0'],
    ]);
  });
});

describe('a disk that is large enough for a thread of its own', () => {
  const large: SimulatorSpec = {
    ...defaultSpec,
    pools: defaultSpec.pools.map((pool) => ({
      ...pool,
      vms: pool.vms.map((vm) => ({
        ...vm,
        disks: [{ device: 0, name: 'root', sizeBytes: 320 * mib, sr: 'source-sr' }],
      })),
    })),
  };

  /** Each holds a port open as long as it runs. */
  function threads(): number {
    return process.getActiveResourcesInfo().filter((resource) => resource === 'MessagePort').length;
  }

  async function untilNoThread(): Promise<void> {
    while (threads() > 0) await new Promise(setImmediate);
  }

  async function filled(site: Site): ReturnType<typeof replicated> {
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 40 * mib, lengthBytes: 80 * mib, fill: 3 }]);
    return replicated(site);
  }

  function watched(
    emit: VerifyJobOptions['context']['emit'],
    signal: AbortSignal,
  ): Partial<VerifyJobOptions> {
    const context = { runId: randomUUID(), clock: systemClock, signal, emit, random: Math.random };
    return { context };
  }

  test('is read with one, and found equal, or wrong in the one sector that was changed', async () => {
    await using site = await Site.start(large);
    const { job, point } = await filled(site);
    let most = 0;
    const look = (): void => {
      most = Math.max(most, threads());
    };
    const equal = await verified(site, job, watched(look, new AbortController().signal));
    expect(summary(equal)).toEqual([['equal', '0 source 0']]);
    expect(most).toBe(1);
    await untilNoThread();
    await flip(site, 'target', point, 119 * mib);
    const report = await verified(site, job);
    expect(summary(report)).toEqual([['differs', '0 source 1']]);
    expect(report.points[0]?.disks[0]?.firstDifferenceBytes).toBe(118 * mib);
  });

  test('leaves the digest of a delta, too: with the source lost it is still verifiable', async () => {
    await using site = await Site.start(large);
    const { job } = await filled(site);
    await guestWrites(site.source.control, 'db1', 0, [
      { atBytes: 60 * mib + 4096, lengthBytes: 8192, fill: 5 },
    ]);
    expect((await site.run(job)).report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
    expect(summary(await verified(site, job))).toEqual([['equal', '0 source 0']]);
    expect(summary(await verified(site, job, { source: null }))).toEqual([['equal', '0 digest 0']]);
  });

  test.each(['source', 'target'] as const)(
    'fails where the connection to the %s is cut, and leaves no thread',
    async (side) => {
      await using site = await Site.start(large);
      const { job } = await filled(site);
      const effect = { kind: 'cut', afterBytes: 50 * mib } as const;
      await site[side].control.addFault({ match: { transfer: 'export' }, max: 1, effect });
      const { points } = await verified(site, job);
      expect(points[0]?.outcome).toMatchObject({ kind: 'failed' });
      await untilNoThread();
    },
  );

  test('is left at once when told to stop, although the target says nothing any more', async () => {
    await using site = await Site.start(large);
    const { job } = await filled(site);
    const effect = { kind: 'stall', afterBytes: 20 * mib } as const;
    await site.target.control.addFault({ match: { transfer: 'export' }, max: 1, effect });
    const stop = new AbortController();
    const stopLate = ({ kind }: { readonly kind: string }): void => {
      if (kind === 'verify-progress') stop.abort(new Error('told to stop'));
    };
    await expect(verified(site, job, watched(stopLate, stop.signal))).rejects.toThrow('told to stop');
    await untilNoThread();
    await site.target.control.clearFaults();
  });
});

test('a sample reads the beginning, and says what that proves', async () => {
  await using site = await Site.start();
  const { job, point } = await replicated(site);
  await flip(site, 'target', point, 21 * mib);
  const sample = { mode: 'sampled', sampleBytes: 16 * mib } as const;
  const report = await verified(site, job, sample);
  expect(summary(report)).toEqual([['equal', '0 source 0', '1 source 0']]);
  expect(report.points[0]?.disks[0]).toMatchObject({ comparedBytes: 16 * mib, chanceOfFinding: 0.5 });
  await flip(site, 'target', point, 5 * mib);
  expect(summary(await verified(site, job, sample))[0]).toEqual(['differs', '0 source 1', '1 source 0']);
});

test('where NBD is offered and not within reach a sample is a beginning, and says why', async () => {
  await using site = await Site.start(withNbd);
  const { job } = await replicated(site);
  const effect = { kind: 'cut', afterBytes: 0 } as const;
  await site.target.control.addFault({ match: { transfer: 'nbd' }, max: 99, effect });
  const report = await verified(site, job, { mode: 'sampled', sampleBytes: 8 * mib });
  expect(summary(report)).toEqual([['equal', '0 source 0', '1 source 0']]);
  expect(report.points[0]?.disks[0]).toMatchObject({ sample: 'beginning', comparedBytes: 8 * mib });
  expect(report.points[0]?.disks[0]?.reason).toMatch(/^NBD server /);
});

test('over NBD a sample is of blocks from all over the disk', async () => {
  await using site = await Site.start(withNbd);
  const { job, point } = await replicated(site);
  await flip(site, 'target', point, 21 * mib);
  const sample = { mode: 'sampled', sampleBytes: 8 * mib } as const;
  const numbers = (list: readonly number[]): (() => number) => {
    const left = [...list];
    return () => left.shift() ?? 0;
  };
  const lucky = await verified(site, job, sample, numbers([0.8, 0.1, 0.2, 0.3]));
  expect(lucky.points[0]?.disks[0]).toMatchObject({
    sample: 'random',
    comparedBytes: 8 * mib,
    chanceOfFinding: 0.25,
    differingBlocks: 1,
    firstDifferenceBytes: 20 * mib,
  });
  const unlucky = await verified(site, job, sample, numbers([0.1, 0.2, 0.3, 0.4]));
  expect(unlucky.points[0]?.disks[0]).toMatchObject({ sample: 'random', differingBlocks: 0 });
});

test('a job without a recovery point has nothing that was found good', async () => {
  await using site = await Site.start();
  expect(await verified(site, await site.job())).toMatchObject({ ok: false, points: [] });
});
