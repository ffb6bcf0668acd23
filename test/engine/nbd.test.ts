import { jobDefaults, keepLatest } from '../../lib/planner/job';
import type { RunReport } from '../../lib/engine';
import type { SimulatorSpec } from '../../lib/simulator';
import type { Ref } from '../../lib/xapi';
import { compareNewest, disksOf, leftovers } from './inspect';
import { methods, nbdSpec, tracked } from './nbd-site';
import { defaultSpec, guestWrites, Site } from './site';

const mib = 1024 ** 2;
async function assertEqual(site: Site, report: RunReport): Promise<void> {
  const compared = await compareNewest(site, report);
  expect(compared).toHaveLength(2);
  for (const { source, target } of compared) expect(target).toBe(source);
}

async function liveDisks(site: Site): Promise<readonly Ref<'VDI'>[]> {
  const source = await site.connect('source');
  const uuids = await disksOf(site, 'source', await site.source.control.vmUuid('db1'));
  return Promise.all([...uuids.values()].map((uuid) => source.call('VDI.get_by_uuid', [uuid])));
}

async function withSite(spec: SimulatorSpec, body: (site: Site) => Promise<void>): Promise<void> {
  await using site = await Site.start(spec);
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 }]);
  await body(site);
}

async function guestChanges(site: Site, round: number): Promise<void> {
  await guestWrites(site.source.control, 'db1', 0, [
    { atBytes: (5 + round) * mib + 4096, lengthBytes: 4096, fill: round },
    { atBytes: round * 65_536, lengthBytes: 65_536, fill: 0 },
  ]);
  await guestWrites(site.source.control, 'db1', 1, [
    { atBytes: 64 * mib - round * 512, lengthBytes: 512, fill: 0x40 + round },
  ]);
}

test('a full by export turns tracking on; deltas go over NBD, 64 KiB at a time, equal byte for byte', () =>
  withSite(nbdSpec(), async (site) => {
    const job = await site.job(tracked());
    const first = (await site.run(job)).report;
    expect(methods(first)).toEqual(['0 full export', '1 full export']);
    await assertEqual(site, first);

    for (const round of [1, 2]) {
      await guestChanges(site, round);
      const { report } = await site.run(job);
      expect(methods(report)).toEqual(['0 delta nbd', '1 delta nbd']);
      expect(report.vms[0]?.disks.map(({ changedBytes }) => changedBytes)).toEqual([2 * 65_536, 65_536]);
      expect(report.vms[0]?.notes).toEqual([]);
      await assertEqual(site, report);
    }
    expect(await leftovers(site)).toEqual([]);
  }));

test('nothing changed: nothing is read over NBD, and the point is good', () =>
  withSite(nbdSpec(), async (site) => {
    const job = await site.job(tracked());
    await site.run(job);
    const { report } = await site.run(job);
    expect(report.ok).toBe(true);
    expect(report.vms[0]?.disks.map(({ readBytes, sentBytes }) => [readBytes, sentBytes])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    await assertEqual(site, report);
  }));

test('the job may ask for NBD for fulls too: zeros are read, and not sent', () =>
  withSite(nbdSpec(), async (site) => {
    const { report } = await site.run(await site.job(tracked({ method: 'nbd', enableCbt: false })));
    expect(methods(report)).toEqual(['0 full nbd', '1 full nbd']);
    expect(report.vms[0]?.disks[0]?.readBytes).toBe(32 * mib);
    expect(report.vms[0]?.disks[0]?.sentBytes).toBeLessThan(4 * mib);
    await assertEqual(site, report);
    expect(await leftovers(site)).toEqual([]);
  }));

describe('where NBD is not possible the delta is read by export, and the report says why', () => {
  const cases: readonly (readonly [string, SimulatorSpec, string])[] = [
    ['no network has a purpose', defaultSpec, 'no network of the source pool has the purpose nbd'],
    ['an SR without tracking', nbdSpec({ untrackedSrTypes: ['ext'] }), 'cannot track changed blocks'],
  ];
  test.each(cases)('%s', (_what, spec, reason) =>
    withSite(spec, async (site) => {
      const job = await site.job(tracked({ method: 'nbd' }));
      await site.run(job);
      await guestChanges(site, 1);
      const { report } = await site.run(job);
      expect(methods(report)).toEqual(['0 delta export', '1 delta export']);
      expect(report.vms[0]?.notes.join('\n')).toContain(reason);
      expect(report.vms[0]?.disks[0]?.methodBecause).toContain(reason);
      await assertEqual(site, report);
    }),
  );
});

test('tracking that somebody turns on later, off and on again: export for one run each, never a full', () =>
  withSite(nbdSpec(), async (site) => {
    const job = await site.job(tracked({ enableCbt: false }));
    const source = await site.connect('source');
    await site.run(job);
    for (const vdi of await liveDisks(site)) await source.call('VDI.enable_cbt', [vdi]);
    await guestChanges(site, 1);
    const late = (await site.run(job)).report;
    expect(methods(late)).toEqual(['0 delta export', '1 delta export']);
    expect(late.vms[0]?.notes.join('\n')).toContain('turned on after the base was taken');

    // Off and on again cuts the chain of logs, though both ends say that tracking is on.
    const [first] = await liveDisks(site);
    await source.call('VDI.disable_cbt' as never, [first] as never);
    await source.call('VDI.enable_cbt', [first as Ref<'VDI'>]);
    await guestChanges(site, 2);
    const cut = (await site.run(job)).report;
    expect(methods(cut)).toEqual(['0 delta export', '1 delta nbd']);
    expect(cut.vms[0]?.attempts).toBe(2);
    expect(cut.vms[0]?.notes.join('\n')).toContain('NBD failed in this run');
    await assertEqual(site, cut);

    await guestChanges(site, 3);
    const whole = (await site.run(job)).report;
    expect(methods(whole)).toEqual(['0 delta nbd', '1 delta nbd']);
    await assertEqual(site, whole);
    expect(await leftovers(site)).toEqual([]);
  }));

test('an account that may not ask who serves a disk: the delta is read by export, and the report says why', () =>
  withSite(nbdSpec(), async (site) => {
    const job = await site.job(tracked({ method: 'nbd' }));
    await site.run(job);
    await guestChanges(site, 1);
    await site.source.control.addFault({
      match: { method: 'VDI.get_nbd_info' },
      max: 99,
      effect: {
        kind: 'error',
        code: 'RBAC_PERMISSION_DENIED',
        params: ['vdi.get_nbd_info', 'No permission'],
      },
    });
    const { report } = await site.run(job);
    expect(methods(report)).toEqual(['0 delta export', '1 delta export']);
    expect(report.vms[0]?.notes.join('\n')).toContain('over NBD (RBAC_PERMISSION_DENIED)');
    await assertEqual(site, report);
  }));

describe('while the changed blocks are listed', () => {
  async function afterOne(code: string, params: readonly string[]): Promise<RunReport> {
    await using site = await Site.start(nbdSpec());
    const job = await site.job(tracked());
    await site.run(job);
    await guestChanges(site, 1);
    const effect = { kind: 'error', code, params } as const;
    await site.source.control.addFault({ match: { method: 'VDI.list_changed_blocks' }, effect });
    const { report } = await site.run(job);
    await assertEqual(site, report);
    expect(methods(report)).toEqual(['0 delta nbd', '1 delta nbd']);
    return report;
  }

  test('a session that ends is renewed, and the list asked for again', async () => {
    const report = await afterOne('SESSION_INVALID', ['OpaqueRef:ended']);
    expect(report.vms[0]).toMatchObject({ attempts: 1, warnings: [] });
  });

  test('an object that is gone makes the plan stale, and is no failure of NBD', async () => {
    const report = await afterOne('HANDLE_INVALID', ['VDI', 'OpaqueRef:gone']);
    expect(report.vms[0]?.warnings.join('\n')).toContain('planning again');
  });
});

test('NBD that breaks again and again: the next attempt reads by export', () =>
  withSite(nbdSpec(), async (site) => {
    const job = await site.job(tracked());
    await site.run(job);
    await guestChanges(site, 1);
    await site.source.control.addFault({
      match: { transfer: 'nbd' },
      max: 99,
      effect: { kind: 'cut', afterBytes: 100 },
    });
    const { report } = await site.run(job);
    expect(methods(report)).toEqual(['0 delta export', '1 delta export']);
    expect(report.vms[0]?.disks[0]?.methodBecause).toContain('NBD failed in this run');
    await assertEqual(site, report);
    expect(await leftovers(site)).toEqual([]);
  }));

test('a disk that was compared and closed is not listed again: its host may hold it a while longer', () =>
  withSite(nbdSpec(), async (site) => {
    const limits = { ...jobDefaults.limits, transfersPerPool: 1, transfersPerSr: 1 };
    const job = await site.job({ ...tracked(), limits });
    await site.run(job);
    // Disks are compared first where the replica's have content ids, which the first delta gives them.
    await site.run(job);
    await guestChanges(site, 1);
    // One reader stays open for its copy; the next one is closed, since there is no room for it yet.
    const effect = { kind: 'linger', ms: 60_000 } as const;
    await site.source.control.addFault({ match: { transfer: 'nbd' }, skip: 1, max: 1, effect });
    const { report } = await site.run(job);
    expect(methods(report)).toEqual(['0 delta nbd', '1 delta nbd']);
    expect(report.vms[0]?.attempts).toBe(1);
    await assertEqual(site, report);
  }));

describe('dropping the data of source snapshots', () => {
  const dropping = tracked({ dropSnapshotData: true });

  test('only lists of changed blocks stay, deltas go on from them, and retention ends them', () =>
    withSite(nbdSpec(), async (site) => {
      // A run that reads back its recovery point cannot do it by the base's data, either.
      const verified = tracked({ dropSnapshotData: true, verify: 'sampled' });
      const job = await site.job({ ...verified, retention: keepLatest(2) });
      const source = await site.connect('source');
      for (const round of [1, 2, 3]) {
        await guestChanges(site, round);
        const live = await liveContents(site);
        const { report } = await site.run(job);
        expect(report.ok).toBe(true);
        expect(report.vms[0]?.warnings).toEqual([]);
        expect(methods(report)).toEqual(
          round === 1 ? ['0 full export', '1 full export'] : ['0 delta nbd', '1 delta nbd'],
        );
        expect(await newestContents(site, report)).toEqual(live);
        const vdis = Object.values(await source.call('VDI.get_all_records', []));
        const snapshots = vdis.filter((vdi) => vdi.is_a_snapshot && vdi.managed);
        expect(snapshots.map(({ type }) => type)).toEqual(['cbt_metadata', 'cbt_metadata']);
      }
      const unused = (await leftovers(site)).filter((text) => !text.includes('unused'));
      expect(unused).toEqual([]);
    }));

  test('going back to such a snapshot, which would lose all disks, is refused by the pool', () =>
    withSite(nbdSpec(), async (site) => {
      const { report } = await site.run(await site.job(dropping));
      const outcome = report.vms[0]?.outcome;
      if (outcome?.kind !== 'replicated') throw new Error('not replicated');
      const source = await site.connect('source');
      const snapshot = await source.call('VM.get_by_uuid', [outcome.sourceSnapshot.uuid]);
      await expect(source.call('VM.revert' as never, [snapshot] as never)).rejects.toMatchObject({
        code: 'OPERATION_BLOCKED',
      });
    }));

  test('without NBD later there is no delta: refused with the reason, a full only when told so', () =>
    withSite(nbdSpec(), async (site) => {
      const job = await site.job(dropping);
      await site.run(job);
      const source = await site.connect('source');
      const [network] = await source.call('network.get_by_name_label', ['lan']);
      await source.call('network.remove_purpose' as never, [network, 'nbd'] as never);

      const refused = (await site.run(job)).report.vms[0]?.outcome;
      expect(refused).toMatchObject({ kind: 'blocked' });
      expect(JSON.stringify(refused)).toContain('was dropped');
      const full = (await site.run({ ...job, onMissingBase: 'full' })).report;
      expect(methods(full)).toEqual(['0 full export', '1 full export']);
      expect(full.vms[0]?.notes.join('\n')).toContain('the data of the source snapshot is kept');
      await assertEqual(site, full);
    }));

  test('a line that breaks is no reason for a full: the next run tries NBD again', () =>
    withSite(nbdSpec(), async (site) => {
      const job = await site.job({ ...dropping, onMissingBase: 'full' });
      await site.run(job);
      await guestChanges(site, 1);
      const fault = { kind: 'cut', afterBytes: 100 } as const;
      await site.source.control.addFault({ match: { transfer: 'nbd' }, max: 999, effect: fault });
      const failed = (await site.run(job)).report;
      expect(failed.vms[0]?.outcome).toMatchObject({ kind: 'failed', error: { code: 'nbd-failed' } });
      await site.source.control.clearFaults();
      const { report } = await site.run(job);
      expect(methods(report)).toEqual(['0 delta nbd', '1 delta nbd']);
    }));

  test('a pool that does not destroy the data keeps it; the run is good, and the next one goes on', () =>
    withSite(nbdSpec(), async (site) => {
      const job = await site.job(dropping);
      const effect = { kind: 'error', code: 'INTERNAL_ERROR', params: ['full'] } as const;
      await site.source.control.addFault({ match: { method: 'VDI.data_destroy' }, effect });
      const { report } = await site.run(job);
      expect(report.ok).toBe(true);
      expect(report.vms[0]?.warnings.join('\n')).toContain('stays: ');

      await guestChanges(site, 1);
      const live = await liveContents(site);
      const next = (await site.run({ ...job, ...tracked() })).report;
      expect(methods(next)).toEqual(['0 delta nbd', '1 delta nbd']);
      expect(await newestContents(site, next)).toEqual(live);
      expect(await leftovers(site)).toEqual([]);
    }));

  test('a snapshot that a person deletes leaves lists that nobody needs: the next run removes them', () =>
    withSite(nbdSpec(), async (site) => {
      const job = await site.job({ ...dropping, onMissingBase: 'full' });
      const { report } = await site.run(job);
      const outcome = report.vms[0]?.outcome;
      if (outcome?.kind !== 'replicated') throw new Error('not replicated');
      const source = await site.connect('source');
      await source.call('VM.destroy', [await source.call('VM.get_by_uuid', [outcome.sourceSnapshot.uuid])]);
      await site.run({ ...job, transfer: jobDefaults.transfer });
      expect(await leftovers(site)).toEqual([]);
    }));
});

/** Digests of the VM's live disks: the VM writes nothing while it is replicated here. */
async function liveContents(site: Site): Promise<readonly string[]> {
  const uuids = await disksOf(site, 'source', await site.source.control.vmUuid('db1'));
  return digests(site, 'source', uuids);
}

async function newestContents(site: Site, report: RunReport): Promise<readonly string[]> {
  const outcome = report.vms[0]?.outcome;
  if (outcome?.kind !== 'replicated') throw new Error('not replicated');
  return digests(site, 'target', await disksOf(site, 'target', outcome.point.uuid));
}

async function digests(
  site: Site,
  side: 'source' | 'target',
  uuids: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const devices = [...uuids.keys()].sort();
  return Promise.all(
    devices.map(async (device) => {
      const { sha256 } = await site[side].control.digestDisk(uuids.get(device) ?? '');
      return `${device} ${sha256}`;
    }),
  );
}
