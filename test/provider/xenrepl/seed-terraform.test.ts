import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { exportSeed } from '../../../lib/engine';
import { describeSeedConflict } from '../../../lib/planner/seed-describe';
import { carry, detach, seedContext } from '../../engine/seed/carried';
import { configsOf } from '../../engine/seed/states';
import { SeedStage } from './seed-stage';

const mib = 1024 ** 2;

let stage: SeedStage;
let seed: { readonly snapshot: string; readonly vm: string };
beforeEach(async () => {
  stage = await SeedStage.start();
  seed = { snapshot: stage.snapshot, vm: stage.vm };
});
afterEach(() => stage[Symbol.asyncDispose]());

test('job and seed in one apply, deltas from then on, and clean plans however far the runs have gone', async () => {
  const applied = await stage.apply(seed);
  expect(applied.stderr).toBe('');
  expect(applied.stdout).toContain('2 added');
  expect(stage.state()).toMatchObject({
    id: seed.vm,
    source_vm_uuid: await stage.site.source.control.vmUuid('db1'),
    verify: 'sampled',
    repair: false,
  });
  expect(await stage.planCode()).toBe(0);

  const attached = stage.state();
  expect(await stage.runJob()).toBe('delta');
  expect(await stage.runJob()).toBe('delta');
  // The seed's snapshot and recovery point are gone by now: it did its work.
  expect(await configsOf(stage.site, 'target', String(attached?.['recovery_point_uuid']))).toBeNull();
  expect(await stage.planCode()).toBe(0);
  expect(stage.state()).toEqual(attached);

  const removed = await stage.apply(null);
  expect(removed.stdout).toContain('1 destroyed');
  expect(removed.stdout).toContain('The Seed Is a Replica Now');
  expect(await stage.runJob()).toBe('delta');
});

test('destroyed before a run went on with it, the VM is an ordinary one again, and can be attached anew', async () => {
  await stage.apply(seed);
  const destroyed = await stage.apply(null);
  expect(destroyed.stdout).toContain('1 destroyed');
  expect(await configsOf(stage.site, 'target', seed.vm)).toMatchObject({ xoKeys: [] });
  expect((await stage.apply(seed)).code).toBe(0);

  // Detached by other hands, it is planned anew.
  await detach(stage.site, seed.vm);
  expect(await stage.planCode()).toBe(2);
  expect((await stage.apply(seed)).code).toBe(0);
  expect(await stage.runJob()).toBe('delta');
});

test('state lost: apply refuses with the import command, import takes over, and the plan is clean', async () => {
  await stage.apply(seed);
  const { job_id: jobId } = stage.state() ?? {};
  await stage.run('state', 'rm', 'xenrepl_seed.db1');
  const refused = await stage.run('apply', '-auto-approve');
  expect(refused.code).toBe(1);
  const id = `target/${String(jobId)}/${seed.vm}`;
  expect(flat(refused.stderr)).toContain(`terraform import <address of this resource> ${id}`);

  expect((await stage.run('import', 'xenrepl_seed.db1', id)).stderr).toBe('');
  expect(stage.state()).toMatchObject({ source_snapshot_uuid: seed.snapshot });
  expect(await stage.planCode()).toBe(0);

  // Imported after the runs have removed its snapshot, it is still the seed that the configuration speaks of.
  await stage.runJob();
  await stage.runJob();
  await stage.run('state', 'rm', 'xenrepl_seed.db1');
  await stage.run('import', 'xenrepl_seed.db1', id);
  expect(stage.state()).toMatchObject({ source_snapshot_uuid: null, recovery_point_uuid: null });
  const plan = await stage.run('plan');
  expect(plan.stdout).toContain('0 to add, 1 to change, 0 to destroy');
  await stage.run('apply', '-auto-approve');
  expect(await stage.planCode()).toBe(0);
});

test('letter case of uuids is no change, and how it was compared is changed without touching a pool', async () => {
  const upper = { snapshot: seed.snapshot.toUpperCase(), vm: seed.vm.toUpperCase() };
  expect((await stage.apply(upper)).stderr).toBe('');
  expect(stage.state()).toMatchObject({ id: seed.vm, target_vm_uuid: upper.vm });
  expect(await stage.planCode()).toBe(0);
  stage.configure(seed);
  expect(await stage.planCode()).toBe(0);
  const changed = await stage.apply({ ...seed, more: 'verify = "full"' });
  expect(changed.stdout).toContain('0 added, 1 changed, 0 destroyed');
});

test('another VM in its place: the first is taken off, the other one attached', async () => {
  const other = await carry(stage.site, seed.snapshot);
  await stage.apply(seed);
  const replaced = await stage.apply({ ...seed, vm: other });
  expect(replaced.stderr).toBe('');
  expect(replaced.stdout).toContain('1 added, 0 changed, 1 destroyed');
  expect(await configsOf(stage.site, 'target', seed.vm)).toMatchObject({ xoKeys: [] });
  expect(await stage.runJob()).toBe('delta');
});

test('what cannot be attached is an error of the plan, at the argument that is wrong', async () => {
  await stage.apply(null);
  const started = await stage.site.connect('target');
  const ref = await started.call('VM.get_by_uuid', [seed.vm]);
  await started.callTask('VM.start', [ref, false, false]);
  stage.configure({ snapshot: stage.vm, vm: seed.vm });
  const { code, stderr } = await stage.run('plan');
  expect(code).toBe(1);
  expect(stderr).toMatch(/on main\.tf line \d+, in resource "xenrepl_seed" "db1":\s+.*source_snapshot_uuid/);
  const missing = { kind: 'snapshot-missing', uuid: stage.vm, poolName: 'source' } as const;
  expect(flat(stderr).toLowerCase()).toContain(describeSeedConflict(missing).message.toLowerCase());
  expect(flat(stderr)).toContain('is Running, must be Halted');

  stage.configure({ ...seed, more: 'verify = "none"\nrepair = true' });
  expect(flat((await stage.run('validate')).stderr)).toContain('what was not read cannot be repaired');
});

test('content that differs is refused when it is applied, unless it is to be repaired', async () => {
  const { control } = stage.site.target;
  await control.writeDisk(await control.diskOf(seed.vm, 0), 4 * mib, Buffer.alloc(mib, 0x55));
  const refused = await stage.apply(seed);
  expect(refused.code).toBe(1);
  expect(flat(refused.stderr)).toContain("its content differs from the snapshot's");
  expect(stage.state()).toBeNull();
  expect((await stage.apply({ ...seed, more: 'repair = true' })).stderr).toBe('');
  expect(await stage.runJob()).toBe('delta');
});

test('with the digests of the export no disk of the source is read', async () => {
  const { site, workspace } = stage;
  await exportSeed({
    source: await site.connect('source'),
    of: { kind: 'snapshot', uuid: seed.snapshot },
    folder: join(workspace.folder, 'usb'),
    format: 'vhd',
    compression: 'none',
    context: seedContext([]),
  });
  await stage.apply(null);
  stage.configure({ ...seed, more: 'digests = "elsewhere"' });
  expect(flat((await stage.run('plan')).stderr)).toContain('elsewhere holds no seed');

  await site.source.control.resetCounters();
  const applied = await stage.apply({ ...seed, more: 'verify = "full"\ndigests = "usb"' });
  expect(applied.stderr).toBe('');
  expect(await site.source.control.counters()).toMatchObject({ bytesExported: 0 });
  // Once it is attached nobody asks for the folder any more.
  rmSync(join(workspace.folder, 'usb'), { recursive: true });
  expect(await stage.planCode()).toBe(0);
});

test('a silent target keeps the state; a silent source stops neither plan nor destruction', async () => {
  await stage.apply(seed);
  stage.lose('target');
  stage.configure(seed, 'on_unreachable = "warn"');
  expect(await stage.planCode()).toBe(0);
  stage.lose('source');
  expect(await stage.planCode()).toBe(0);
  const destroyed = await stage.run('destroy', '-auto-approve');
  expect(destroyed.code).toBe(0);
  expect(flat(destroyed.stdout)).toContain('The marks of this seed stay on its source snapshot');
  expect(await configsOf(stage.site, 'target', seed.vm)).toMatchObject({ xoKeys: [] });
});

/** Terraform wraps messages and draws a line beside them. */
function flat(text: string): string {
  return text.replace(/[│╷╵]/g, ' ').replace(/\s+/g, ' ');
}
