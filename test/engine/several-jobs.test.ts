import { Neighbours, systemClock } from '../../lib/engine';
import type { Clock, RunEvent } from '../../lib/engine';
import type { JobDefinition } from '../../lib/planner/job';
import { jobDefaults } from '../../lib/planner/job';
import type { SimulatorSpec } from '../../lib/simulator';
import { compareNewest, leftovers } from './inspect';
import { defaultSpec, guestWrites, Site } from './site';
import type { RunOutcome } from './site';
import { SkippingClock } from './skipping-clock';

const mib = 1024 ** 2;
const dataBytes = 6 * mib;

/** Two VMs, each with a job of its own. */
async function started(targetBytes: number, fill: number): Promise<Site> {
  const [source, target] = defaultSpec.pools;
  if (source === undefined || target === undefined) throw new Error('two pools expected');
  const vms = ['web1', 'web2'].map((name) => ({
    name,
    tags: [name],
    disks: [0, 1].map((device) => ({ device, sizeBytes: 8 * mib, sr: 'source-sr' })),
  }));
  const srs = target.srs.map((sr) => ({ ...sr, sizeBytes: targetBytes }));
  const spec: SimulatorSpec = {
    ...defaultSpec,
    pools: [
      { ...source, vms },
      { ...target, srs },
    ],
  };
  const site = await Site.start(spec);
  for (const name of ['web1', 'web2'])
    await guestWrites(site.source.control, name, 0, [{ atBytes: 0, lengthBytes: dataBytes, fill }]);
  return site;
}

function jobOf(site: Site, number: 1 | 2, changes: Partial<JobDefinition> = {}): Promise<JobDefinition> {
  const jobId = `${String(number).repeat(8)}-1111-4111-8111-111111111111`;
  const selection = { uuids: [], tags: [`web${String(number)}`] };
  return site.job({ jobId, name: `job ${String(number)}`, selection, ...changes });
}

/** The second begins as soon as the first has planned. */
async function both(site: Site, jobs: readonly JobDefinition[]): Promise<readonly RunOutcome[]> {
  const [first, second] = jobs;
  if (first === undefined || second === undefined) throw new Error('two jobs expected');
  const neighbours = new Neighbours();
  let planned = (): void => undefined;
  const begun = new Promise<void>((resolve) => (planned = resolve));
  const emit = ({ kind }: RunEvent): void => {
    if (kind === 'planned') planned();
  };
  const running = site.run(first, { neighbours, context: { emit } });
  await begun;
  return Promise.all([running, site.run(second, { neighbours })]);
}

function waits({ report }: RunOutcome): readonly string[] {
  return report.vms.flatMap(({ warnings }) => warnings.filter((text) => text.startsWith('waits for space')));
}

describe('two jobs of one process onto a target SR that is too small for both', () => {
  test('the second waits for the first by its name, and is refused before a byte of it is sent', async () => {
    await using site = await started(10 * mib, 7);
    const [first, second] = await both(site, [await jobOf(site, 1), await jobOf(site, 2)]);
    if (first === undefined || second === undefined) throw new Error('two outcomes expected');

    expect(first.report.ok).toBe(true);
    expect(waits(first)).toEqual([]);
    expect(waits(second)).toEqual([
      expect.stringMatching(/of which others need .* \(VM "web1" of job "job 1" \(1{8}-.*\) /),
    ]);
    expect(second.report.vms.map(({ outcome }) => outcome.kind)).toEqual(['blocked']);
    expect((await site.target.control.counters()).bytesImported).toBeLessThan(dataBytes + mib);
    expect(await leftovers(site)).toEqual([]);
  });

  test('the second goes on where the first took less than it might have', async () => {
    await using site = await started(10 * mib, 0);
    const outcomes = await both(site, [await jobOf(site, 1), await jobOf(site, 2)]);
    expect(outcomes.map(({ report }) => report.ok)).toEqual([true, true]);
    expect(outcomes.map((outcome) => waits(outcome).length)).toEqual([0, 1]);
    for (const { report } of outcomes)
      for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  });

  test('the second gives up after four hours, and names whom it waited for', async () => {
    await using site = await started(10 * mib, 7);
    const neighbours = new Neighbours();
    const job = await jobOf(site, 2);
    const { poolUuid, srUuid } = job.target;
    const other = neighbours.space.enter({ job: { id: 'j', name: 'endless' }, poolUuid, srUuid });
    other.reserve(
      { uuid: 'u', name: 'huge' },
      { needBytes: 8 * mib, freeBytesThen: 10 * mib, heldBytesThen: 0 },
    );
    // Whoever sleeps for long sleeps an hour.
    let hours = 0;
    const clock: Clock = {
      nowMs: () => systemClock.nowMs() + hours * 3_600_000,
      sleep: (ms, signal) => {
        if (ms !== 300_000) return systemClock.sleep(ms, signal);
        hours += 1;
        return Promise.resolve();
      },
    };
    const outcome = await site.run(job, { neighbours, context: { clock } });
    expect(hours).toBe(4);
    expect(outcome.report.vms.map((one) => one.outcome)).toMatchObject([
      {
        kind: 'blocked',
        error: { message: expect.stringContaining('VM "huge" of job "endless"') as string },
      },
    ]);
    expect(JSON.stringify(outcome.report)).toContain('waited for space for 4 hours');
  });

  test('a group does not wait: it is refused, and told whose run to wait for', async () => {
    await using site = await started(10 * mib, 7);
    const grouped = await jobOf(site, 2, { snapshot: { ...jobDefaults.snapshot, groupSkewMs: 60_000 } });
    const [, second] = await both(site, [await jobOf(site, 1), grouped]);
    expect(second?.report.vms.map(({ outcome }) => outcome)).toMatchObject([
      {
        kind: 'blocked',
        error: {
          message: expect.stringContaining('VM "web1" of job "job 1"') as string,
          hint: expect.stringContaining('run again when they are done') as string,
        },
      },
    ]);
  });
});

/** Stands still in the middle of a copy: pauses between pieces pass at once, but for one that lasts until it is let go. */
class HoldingClock extends SkippingClock {
  readonly #passing: number;
  #pauses = 0;
  #onHeld: () => void = () => undefined;
  #go: () => void = () => undefined;
  readonly held = new Promise<void>((resolve) => (this.#onHeld = resolve));
  readonly #gone = new Promise<void>((resolve) => (this.#go = resolve));

  /** @param passing how many pauses pass */
  constructor(passing: number) {
    super();
    this.#passing = passing;
  }

  letGo(): void {
    this.#go();
  }

  override async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 1000) this.#pauses += 1;
    if (this.#pauses === this.#passing + 1 && ms <= 1000) {
      this.#onHeld();
      await this.#gone;
    }
    return super.sleep(ms, signal);
  }
}

test('what a copy under way has written already keeps no other job waiting', async () => {
  await using site = await started(14 * mib, 7);
  const clock = new HoldingClock(2);
  const limits = { ...jobDefaults.limits, bytesPerSecond: 2 * mib };
  const neighbours = new Neighbours();
  const first = site.run(await jobOf(site, 1, { limits }), { neighbours, context: { clock } });
  await clock.held;
  // What it wrote so far arrives, two thirds of it; the rest is still promised to it.
  const target = await site.connect('target');
  const [sr] = await target.call('SR.get_by_name_label', ['target-sr']);
  if (sr === undefined) throw new Error('the target has an SR');
  for (let usedBytes = 0; usedBytes < 4 * mib;) {
    await target.call('SR.scan', [sr]);
    usedBytes = (await target.call('SR.get_record', [sr])).physical_utilisation;
  }
  const second = await site.run(await jobOf(site, 2), { neighbours });
  expect(second.report.ok).toBe(true);
  clock.letGo();
  const outcomes = [await first, second];
  expect(outcomes.map(({ report }) => report.ok)).toEqual([true, true]);
  for (const { report } of outcomes)
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
});

test('a job that allows one transfer on an SR begins none while another job is at work there', async () => {
  await using site = await started(1024 * mib, 7);
  let open = 0;
  let most = 0;
  const emit = ({ kind }: RunEvent): void => {
    if (kind === 'disk-opened') open += 1;
    if (kind === 'disk-copied') open -= 1;
    most = Math.max(most, open);
  };
  const limits = { ...jobDefaults.limits, transfersPerSr: 1 };
  const jobs = [await jobOf(site, 1, { limits }), await jobOf(site, 2, { limits })];
  const neighbours = new Neighbours();
  const outcomes = await Promise.all(jobs.map((job) => site.run(job, { neighbours, context: { emit } })));
  expect(outcomes.map(({ report }) => report.ok)).toEqual([true, true]);
  expect(most).toBe(1);
});
