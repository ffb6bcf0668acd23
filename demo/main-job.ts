/**
 * The main job, shown from end to end on two simulated pools: `cdktf deploy` replicates a VM, a second deploy
 * sends only what changed, a clone of the newest recovery point starts and is byte for byte the source snapshot.
 *
 *     npm run demo                   # exit code 0 only if every promise held
 *     npm run demo -- --tamper      # changes one byte of the recovered clone first: must fail
 *     npm run demo -- --keep        # leaves the working folder for a look
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pool, Ref } from '../lib/xapi';
import { XapiError } from '../lib/xapi';
import { cli, Deployment } from './deployment';
import { changeFiles, checkFilesystem, makeFilesystem, readFile } from './guest-disk';
import { checkDigests, difference, newest, onlyReplica, traffic } from './look';
import { killAll } from './programs';
import { connected, rootDiskBytes, sourceSpec, startPool, targetSpec } from './site';
import type { DemoPool } from './site';
import { mib, Story } from './story';

const tamper = process.argv.includes('--tamper');
const keep = process.argv.includes('--keep');

interface Stage {
  readonly story: Story;
  readonly folder: string;
  readonly source: DemoPool;
  readonly target: DemoPool;
  readonly rootImage: string;
  readonly deployment: Deployment;
}

async function main(): Promise<boolean> {
  const story = new Story();
  const folder = mkdtempSync(join(tmpdir(), 'xenrepl-demo-'));
  const pools: DemoPool[] = [];
  try {
    const stage = await setUp(story, folder, pools);
    await firstDeploy(stage);
    await secondDeploy(stage);
    await recover(stage);
    await endOfLife(stage);
  } catch (error) {
    story.check('the demo runs to its end', false, error instanceof Error ? error.message : String(error));
  } finally {
    await Promise.all(pools.map((pool) => pool.stop()));
    killAll();
    if (keep) story.say(`working folder: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
  return story.end();
}

async function setUp(story: Story, folder: string, pools: DemoPool[]): Promise<Stage> {
  story.step('Two pools: "source" with two hosts and a running VM, "target" with an SR');
  const rootImage = makeFilesystem(folder, rootDiskBytes);
  const source = await startPool(cli, folder, 'source', sourceSpec(rootImage));
  pools.push(source);
  const target = await startPool(cli, folder, 'target', targetSpec());
  pools.push(target);
  const data = await source.control.diskOf(await source.control.vmUuid('db1'), 1);
  for (const [index, at] of [0, 1, 3, 7].entries()) {
    await source.control.writeDisk(data, at * 1024 ** 3, Buffer.alloc(3 * 1024 ** 2, 0x41 + index));
  }
  story.say(
    `   source ${source.endpoint.url}, target ${target.endpoint.url}, certificates pinned by SHA-256`,
  );
  story.say(
    '   VM "db1": root is an ext4 filesystem of 256 MiB with 25 files, data is 8 GiB with 12 MiB in it',
  );
  const deployment = new Deployment(story, folder, pools, 'main.js', 'xen-replication');
  return { story, folder, source, target, rootImage, deployment };
}

async function deploy({ deployment }: Stage, trigger: string): Promise<boolean> {
  const { exitCode } = await deployment.cdktf(['deploy', '--auto-approve'], { XENREPL_RUN_TRIGGER: trigger });
  return exitCode === 0;
}

async function firstDeploy(stage: Stage): Promise<void> {
  const { story, source, target, deployment } = stage;
  story.step('cdktf deploy: provider delivered, job created, first full replication inside apply');
  const before = await traffic(source, target);
  story.check('first cdktf deploy succeeds', await deploy(stage, '1'), 'nothing was installed beforehand');
  const moved = difference(before, await traffic(source, target));
  story.check(
    'the full was sent',
    moved.sentBytes > 0,
    `read ${mib(moved.readBytes)}, sent ${mib(moved.sentBytes)}`,
  );
  const replica = await onlyReplica(target);
  const point = newest(replica);
  story.check('the first recovery point is a full', point.kind === 'full', `"${point.name}"`);
  const state = deployment.state();
  story.check(
    'Terraform state knows the replica',
    state.includes(replica.uuid) && state.includes(point.uuid),
    replica.uuid,
  );
  const outputs = (JSON.parse(state) as { outputs?: Record<string, unknown> }).outputs ?? {};
  const stable = JSON.stringify(outputs);
  story.check(
    'outputs hold stable values only',
    stable.includes(replica.uuid) && !stable.includes(point.uuid),
    Object.keys(outputs).join(', '),
  );
}

async function secondDeploy(stage: Stage): Promise<void> {
  const { story, source, target, rootImage, folder } = stage;
  story.step('The guest changes files; cdktf deploy with another trigger sends the delta');
  const changes = changeFiles(rootImage, folder);
  const root = await source.control.diskOf(await source.control.vmUuid('db1'), 0);
  for (const { offsetBytes, data } of changes) await source.control.writeDisk(root, offsetBytes, data);
  const changedBytes = changes.reduce((sum, { data }) => sum + data.length, 0);
  const before = await traffic(source, target);
  story.check('second cdktf deploy succeeds', await deploy(stage, '2'), 'trigger "2"');
  const moved = difference(before, await traffic(source, target));
  const point = newest(await onlyReplica(target));
  story.check('the second recovery point is a delta', point.kind === 'delta', `"${point.name}"`);
  story.check(
    'only what changed was sent',
    moved.sentBytes > 0 && moved.sentBytes < 32 * 1024 ** 2,
    `guest wrote ${mib(changedBytes)}; read ${mib(moved.readBytes)}, sent ${mib(moved.sentBytes)} (blocks of 2 MiB)`,
  );
}

async function recover(stage: Stage): Promise<void> {
  const { story, source, target } = stage;
  story.step(
    'Recovery: the replica refuses to start; a clone of its newest recovery point starts and is equal',
  );
  const replica = await onlyReplica(target);
  const point = newest(replica);
  const refusal = await connected(target, (pool) => tryStart(pool, replica.uuid));
  story.check('starting the replica is refused', refusal === 'OPERATION_BLOCKED', refusal);
  const clone = await connected(target, (pool) => cloneAndStart(pool, point.uuid));
  story.check('the clone of the recovery point runs', clone.powerState === 'Running', `VM ${clone.uuid}`);
  const disks = await connected(target, (pool) => disksOf(pool, clone.uuid));
  if (tamper) await tamperWith(stage, disks);
  await checkDigests(story, source, target, point, 'clone', disks);
  await checkFiles(stage, disks.get('0') ?? 'none');
}

/** The recovered filesystem is read with the filesystem's own tools: bytes that no part of ours looked at. */
async function checkFiles(stage: Stage, vdiUuid: string): Promise<void> {
  const { story, target, folder } = stage;
  const image = join(folder, 'recovered.img');
  const pieceBytes = 8 * 1024 ** 2;
  for (let at = 0; at < rootDiskBytes; at += pieceBytes) {
    appendFileSync(image, await target.control.readDisk(vdiUuid, at, pieceBytes));
  }
  checkFilesystem(image);
  const note = readFile(image, 'srv/note.txt');
  const first = note.split('\n')[0] ?? '';
  story.check(
    'the recovered filesystem is clean and has the new file',
    first === 'changed by the guest',
    `"${first}"`,
  );
}

async function tamperWith(stage: Stage, disks: ReadonlyMap<string, string>): Promise<void> {
  const vdi = disks.get('1') ?? 'none';
  const [byte] = await stage.target.control.readDisk(vdi, 3 * 1024 ** 3 + 12_345, 1);
  await stage.target.control.writeDisk(vdi, 3 * 1024 ** 3 + 12_345, Buffer.from([(byte ?? 0) ^ 1]));
  stage.story.say('   (--tamper: one bit of disk 1 was flipped)');
}

async function endOfLife(stage: Stage): Promise<void> {
  const { story, target, deployment } = stage;
  story.step('terraform plan is clean; destroy keeps the replicas');
  await deployment.checkCleanPlan();
  const destroyed = await deployment.cdktf(['destroy', '--auto-approve'], { XENREPL_RUN_TRIGGER: '2' });
  story.check('cdktf destroy succeeds', destroyed.exitCode === 0, `exit code ${String(destroyed.exitCode)}`);
  const replica = await onlyReplica(target);
  story.check(
    'replicas stay by default',
    replica.points.length === 2,
    `replica ${replica.uuid} with ${String(replica.points.length)} recovery points; deploying again goes on with a delta`,
  );
}

async function tryStart(pool: Pool, uuid: string): Promise<string> {
  const ref = await pool.call('VM.get_by_uuid', [uuid]);
  try {
    await pool.call('VM.start', [ref, false, false]);
    return 'it started';
  } catch (error) {
    return error instanceof XapiError ? error.code : String(error);
  }
}

async function cloneAndStart(pool: Pool, pointUuid: string): Promise<{ uuid: string; powerState: string }> {
  const point = await pool.call('VM.get_by_uuid', [pointUuid]);
  const clone = await pool.callTask('VM.clone', [point, 'db1 recovered']);
  await pool.call('VM.set_is_a_template', [clone, false]);
  await pool.callTask('VM.start', [clone, false, false]);
  const { uuid, power_state: powerState } = await pool.call('VM.get_record', [clone]);
  return { uuid, powerState };
}

async function disksOf(pool: Pool, vmUuid: string): Promise<ReadonlyMap<string, string>> {
  const ref: Ref<'VM'> = await pool.call('VM.get_by_uuid', [vmUuid]);
  const { VBDs } = await pool.call('VM.get_record', [ref]);
  const disks = new Map<string, string>();
  for (const vbdRef of VBDs) {
    const vbd = await pool.call('VBD.get_record', [vbdRef]);
    if (vbd.type === 'Disk') disks.set(vbd.userdevice, await pool.call('VDI.get_uuid', [vbd.VDI]));
  }
  return disks;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killAll();
    process.exit(130);
  });
}

void main().then((ok) => {
  process.exitCode = ok ? 0 : 1;
});
