import { planJob } from '../../lib/engine';
import { leftovers, compareNewest } from './inspect';
import { defaultSpec, guestWrites, Site } from './site';
import type { RunOutcome } from './site';
import type { SimulatorSpec } from '../../lib/simulator';

const mib = 1024 ** 2;
const names = ['web1', 'web2', 'web3', 'web4', 'web5'];

function spec(): SimulatorSpec {
  const [source, target] = defaultSpec.pools;
  if (source === undefined || target === undefined) throw new Error('two pools expected');
  const vms = names.map((name, index) => ({
    name,
    tags: index < 4 ? ['protect'] : [],
    disks: [{ device: 0, name: `${name} root`, sizeBytes: 8 * mib, sr: 'source-sr' }],
    vifs: [],
  }));
  return { ...defaultSpec, pools: [{ ...source, vms }, target] };
}

describe('a job with several VMs', () => {
  test('replicates those that are tagged or named, a bounded number at once', async () => {
    await using site = await Site.start(spec());
    for (const [index, name] of names.entries()) {
      await guestWrites(site.source.control, name, 0, [{ atBytes: 0, lengthBytes: 4096, fill: index + 1 }]);
    }
    const named = await site.source.control.vmUuid('web5');
    const job = await site.job({
      selection: { uuids: [named.toUpperCase()], tags: ['protect'] },
      concurrency: 2,
    });

    const { report, events } = await site.run(job);

    expect(report.vms.map(({ vm, outcome }) => [vm.name, outcome.kind]).sort()).toEqual(
      names.map((name) => [name, 'replicated']),
    );
    let running = 0;
    let most = 0;
    for (const { kind } of events) {
      if (kind === 'vm-started') running += 1;
      if (kind === 'vm-finished') running -= 1;
      most = Math.max(most, running);
    }
    expect(most).toBe(2);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('one VM that fails does not hold up the others, and the report names it', async () => {
    await using site = await Site.start(spec());
    const missing = '99999999-9999-4999-8999-999999999999';
    const { report } = await site.run(await site.job({ selection: { uuids: [missing], tags: ['protect'] } }));

    expect(report.ok).toBe(false);
    const failed = report.vms.filter(({ outcome }) => outcome.kind === 'failed');
    expect(failed.map(({ vm }) => vm.uuid)).toEqual([missing]);
    expect(JSON.stringify(failed)).toContain('has no such VM');
    expect(report.vms.filter(({ outcome }) => outcome.kind === 'replicated')).toHaveLength(4);
  });
});

describe('the looks at the pools', () => {
  async function plansAtOnce(concurrency: number): Promise<readonly string[]> {
    await using site = await Site.start(spec());
    const asked: string[] = [];
    const onCall = (method: string): unknown => asked.push(method);
    const plans = await planJob({
      job: await site.job({ concurrency }),
      source: await site.connect('source', { onCall }),
      target: await site.connect('target', { onCall }),
      signal: new AbortController().signal,
    });
    expect(plans.map(({ plan }) => plan?.kind)).toEqual(Array.from({ length: 4 }, () => 'replicate'));
    return asked.filter((method) => method === 'event.from');
  }

  test('are shared by VMs that are planned at once: one at each pool', async () => {
    expect(await plansAtOnce(4)).toHaveLength(2);
    expect(await plansAtOnce(2)).toHaveLength(4);
  });
});

describe('several VMs on a target SR that is too small for all of them', () => {
  const dataBytes = 6 * mib;

  /** Two VMs of which each fits, and both do not. */
  async function crowded(fill: number): Promise<Site> {
    const { pools } = spec();
    const small = pools.map((pool) =>
      pool.name === 'target'
        ? { ...pool, srs: pool.srs.map((sr) => ({ ...sr, sizeBytes: 10 * mib })) }
        : pool,
    );
    const site = await Site.start({ ...spec(), pools: small });
    for (const name of ['web1', 'web2'])
      await guestWrites(site.source.control, name, 0, [{ atBytes: 0, lengthBytes: dataBytes, fill }]);
    return site;
  }

  async function both(site: Site): Promise<RunOutcome> {
    const uuids = await Promise.all(['web1', 'web2'].map((name) => site.source.control.vmUuid(name)));
    const outcome = await site.run(await site.job({ selection: { uuids, tags: [] }, concurrency: 2 }));
    expect(await leftovers(site)).toEqual([]);
    return outcome;
  }

  function waited({ report }: RunOutcome): readonly string[] {
    return report.vms.flatMap(({ warnings }) =>
      warnings.filter((text) => text.startsWith('waits for space')),
    );
  }

  test('the second is refused before a byte of it is sent, once the first has taken its room', async () => {
    await using site = await crowded(7);
    const outcome = await both(site);
    expect(outcome.report.vms.map((vm) => vm.outcome.kind).sort()).toEqual(['blocked', 'replicated']);
    // Whether the first is done by then or about to be: it is the room that is gone.
    expect(JSON.stringify(outcome.report)).toMatch(
      /target SR \S+ \S+ has 0.00 GiB free, this (run|VM) needs/,
    );
    expect(waited(outcome)).toHaveLength(1);
    expect(waited(outcome)[0]).toMatch(/of which others need .* \(VM "web." of this run /);
    expect((await site.target.control.counters()).bytesImported).toBeLessThan(dataBytes + mib);
  });

  test('the second goes on where the first took less than it might have', async () => {
    await using site = await crowded(0);
    const outcome = await both(site);
    expect(outcome.report.ok).toBe(true);
    expect(waited(outcome)).toHaveLength(1);
    for (const { source, target } of await compareNewest(site, outcome.report)) expect(target).toBe(source);
  });

  test('the plan says it beforehand', async () => {
    await using site = await crowded(7);
    const uuids = await Promise.all(['web1', 'web2'].map((name) => site.source.control.vmUuid(name)));
    const plans = await planJob({
      job: await site.job({ selection: { uuids, tags: [] } }),
      source: await site.connect('source'),
      target: await site.connect('target'),
      signal: new AbortController().signal,
    });
    const notes = plans.map(({ plan }) => (plan?.kind === 'replicate' ? plan.notes.join() : plan?.kind));
    expect(notes[0]).not.toContain('with the VMs before it');
    expect(notes[1]).toMatch(/with the VMs before it this run needs up to .* this VM waits for them/);
  });
});
