import { compareNewest, leftovers } from './inspect';
import { defaultSpec, guestWrites, Site } from './site';
import type { SimulatorSpec } from '../../lib/simulator';

const mib = 1024 ** 2;

/** Both pools have two hosts, and only the member, not the coordinator, sees the storage. */
function storageOnMembers(): SimulatorSpec {
  const pools = defaultSpec.pools.map((pool) => ({
    ...pool,
    hosts: [{ name: `${pool.name}-1` }, { name: `${pool.name}-2` }],
    srs: pool.srs.map((sr) => ({ ...sr, hosts: [`${pool.name}-2`] })),
    vms: pool.vms.map((vm) => ({ ...vm, running: false })),
  }));
  return { ...defaultSpec, pools };
}

test('storage that only a member sees is read and written there, over its own pinned certificate', async () => {
  await using site = await Site.start(storageOnMembers());
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 2 * mib, fill: 0x61 }]);
  const job = await site.job();
  const full = await site.run(job);
  expect(full.report.vms.map(({ outcome }) => outcome)).toMatchObject([{ kind: 'replicated' }]);
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 4 * mib, lengthBytes: 512, fill: 0x62 }]);

  const { report } = await site.run(job);

  expect(report.vms.map(({ outcome }) => outcome)).toMatchObject([{ kind: 'replicated', copyKind: 'delta' }]);
  for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  expect(await leftovers(site)).toEqual([]);
});
