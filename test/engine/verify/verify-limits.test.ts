/** A verification reads production disks: it keeps to the limits of its job, as a run does. */
import { verifyJob } from '../../../lib/engine';
import type { VerifyEvent, VerifyJobOptions } from '../../../lib/engine';
import { jobDefaults } from '../../../lib/planner/job';
import type { JobDefinition, JobLimits } from '../../../lib/planner/job';
import { defaultSpec, guestWrites, Site } from '../site';
import { SkippingClock } from '../skipping-clock';

const mib = 1024 ** 2;
const limits: JobLimits = { ...jobDefaults.limits, bytesPerSecond: mib };

/** A recovery point with 8 MiB of data, made at full speed. */
async function replicated(site: Site): Promise<JobDefinition> {
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 7 }]);
  const job = await site.job();
  expect((await site.run(job)).report.ok).toBe(true);
  return job;
}

interface Read {
  /** By the clock of the verification. */
  readonly passedMs: number;
  readonly waitedMs: number;
  readonly events: readonly VerifyEvent[];
}

async function verified(
  site: Site,
  job: JobDefinition,
  changes: Partial<VerifyJobOptions> = {},
): Promise<Read> {
  const clock = new SkippingClock();
  const events: VerifyEvent[] = [];
  const { ok } = await verifyJob({
    job,
    source: await site.connect('source'),
    target: await site.connect('target'),
    onlyVms: null,
    points: 'newest',
    mode: 'full',
    sampleBytes: 0,
    context: {
      runId: 'verification',
      clock,
      signal: new AbortController().signal,
      emit: (event) => events.push(event),
      random: Math.random,
    },
    ...changes,
  });
  expect(ok).toBe(true);
  return { passedMs: clock.passedMs, waitedMs: clock.skippedMs, events };
}

function rates(events: readonly VerifyEvent[]): readonly VerifyEvent[] {
  return events.filter(({ kind }) => kind === 'reading-rate');
}

test('reading 8 MiB takes as long as the job allows, and the rate is told', async () => {
  await using site = await Site.start();
  const job = await replicated(site);
  const { passedMs, waitedMs, events } = await verified(site, { ...job, limits });
  expect(passedMs).toBeGreaterThan(7_000);
  expect(waitedMs).toBeLessThan(8_100);
  expect(rates(events)).toEqual([{ kind: 'reading-rate', bytesPerSecond: mib, windows: false, nice: false }]);
});

test.each([
  ['as fast as it can', 'no limit', 0, null],
  ['at a rate of its own', { bytesPerSecond: 2 * mib }, 4_000, 2 * mib],
] as const)('on demand it reads %s', async (_name, rate, aboutMs, told) => {
  await using site = await Site.start();
  const job = await replicated(site);
  const { passedMs, waitedMs, events } = await verified(site, { ...job, limits }, { rate });
  expect(passedMs).toBeGreaterThanOrEqual(aboutMs * 0.85);
  expect(waitedMs).toBeLessThanOrEqual(aboutMs * 1.05);
  expect(rates(events).map((event) => 'bytesPerSecond' in event && event.bytesPerSecond)).toEqual(
    told === null ? [] : [told],
  );
});

test('with the source lost, what is read of the target keeps to it', async () => {
  await using site = await Site.start();
  const job = await replicated(site);
  const { passedMs } = await verified(site, { ...job, limits: { ...limits, nice: true } }, { source: null });
  expect(passedMs).toBeGreaterThan(7_000);
});

test('a sample over NBD keeps to it', async () => {
  const pools = defaultSpec.pools.map((pool) => ({
    ...pool,
    networks: pool.networks.map((network) => ({ ...network, purpose: 'nbd' as const })),
  }));
  await using site = await Site.start({ ...defaultSpec, pools });
  const job = await replicated(site);
  const sample = { mode: 'sampled', sampleBytes: 4 * mib } as const;
  const { passedMs } = await verified(site, { ...job, limits }, sample);
  // Two disks of 4 MiB each, less what is made up for after a pause.
  expect(passedMs).toBeGreaterThan(6_500);
});

test('a job that is nice gives way to a busy host of the source, and says so', async () => {
  await using site = await Site.start();
  const job = await replicated(site);
  for (const name of ['source-1', 'source-2']) await site.source.control.setControlDomainLoad(name, 40);
  const { events } = await verified(site, { ...job, limits: { ...limits, nice: true } });
  expect(events.map(({ kind }) => kind)).toContain('nice-summary');
  expect(events.find(({ kind }) => kind === 'nice-paced')).toMatchObject({
    loadPerVcpu: expect.any(Number) as number,
  });
});
