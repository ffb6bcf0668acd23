import { jobDefaults } from '../../../lib/planner/job';
import { masked, Pools } from '../pools';

const argv = ['plan', '--target-pool', 'target', '--job', 'site'];

test('a plan says step by step what a run would do, and changes nothing', async () => {
  await using pools = await Pools.start();
  await pools.storeJob();
  const before = await pools.site.target.control.inventory();
  const { code, stdout, stderr } = await pools.called(argv);
  expect([code, stderr]).toEqual([0, '']);
  expect(masked(stdout)).toMatchInlineSnapshot(`
    "db1 (<uuid 1>)
      full of VM "db1" (<uuid 1>)
      note: disk 0 is copied in full: the first copy
      note: disk 1 is copied in full: the first copy
      snapshot VM "db1" (<uuid 1>)
      create an empty disk of 0.03 GiB for device 0
      create an empty disk of 0.06 GiB for device 1
      send all of disk 0: the first copy; read by export (a full leaves out what was never written, by export only)
      send all of disk 1: the first copy; read by export (a full leaves out what was never written, by export only)
      create the replica VM, with start blocked
      announce the exchange of disks on the replica
      exchange the disks of the replica
      bring settings and 1 network card(s) up to date
      snapshot the replica and commit the recovery point
      commit the source snapshot
      destroy the disks that were replaced
      needs up to 6.0 KiB on the target SR
    "
  `);
  expect(Object.keys((await pools.site.target.control.inventory())['VM'] ?? {})).toEqual(
    Object.keys(before['VM'] ?? {}),
  );
});

test('as JSON it is the plan itself', async () => {
  await using pools = await Pools.start();
  await pools.storeJob();
  const { stdout } = await pools.called([...argv, '--json']);
  const { job, vms } = JSON.parse(stdout) as PlanDocument;
  expect(job.name).toBe('site');
  expect(vms[0]?.vm.name).toBe('db1');
  expect(vms[0]?.plan.steps.map(({ kind }) => kind)).toContain('commit-target');
});

test('a plan says that the job gives way to busy hosts, and what it looks at', async () => {
  await using pools = await Pools.start();
  await pools.storeJob({ limits: { ...jobDefaults.limits, nice: true } });
  const { stdout } = await pools.called(argv);
  expect(stdout).toMatch(
    /^nice: goes slower, down to a tenth, while the control domain of a source host .* load above 1 per vCPU/,
  );
});

test('a plan that is refused ends in 3 with the setting that decides', async () => {
  await using pools = await Pools.start();
  await pools.storeJob({ networkMap: {} });
  const { code, stdout } = await pools.called(argv);
  expect(code).toBe(3);
  expect(stdout).toMatch(
    /\n {2}refused: no target network is named for "lan" .*on_unmapped_network = "omit"/,
  );
});

test('a VM that is gone is told, in 1', async () => {
  await using pools = await Pools.start();
  const gone = '00000000-0000-4000-8000-000000000000';
  await pools.storeJob({ selection: { uuids: [gone], tags: [] } });
  const { code, stdout } = await pools.called(argv);
  expect([code, stdout]).toEqual([
    1,
    `${gone} (${gone})\n  the source pool has no such VM: a run would fail\n`,
  ]);
});

test('a job that selects nothing says so', async () => {
  await using pools = await Pools.start();
  await pools.storeJob({ selection: { uuids: [], tags: ['nobody'] } });
  expect(await pools.called(argv)).toEqual({
    code: 0,
    stdout: 'job "site" selects no VM at present\n',
    stderr: '',
  });
});

interface PlanDocument {
  readonly job: { readonly name: string };
  readonly vms: readonly {
    readonly vm: { readonly name: string };
    readonly plan: { readonly steps: readonly { readonly kind: string }[] };
  }[];
}
