import { leftovers, compareNewest } from './inspect';
import { defaultSpec, guestWrites, Site } from './site';
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
