/**
 * The first copy carried by hand, from end to end on two simulated pools: the job is deployed and waits; a snapshot goes
 * into files, the files go to the other site; `cdktf deploy` makes the imported VM the replica; the first run is a delta.
 *
 *     npm run demo:seed               # exit code 0 only if every promise held
 *     npm run demo:seed -- --tamper   # changes one bit of what was carried: must fail
 *     npm run demo:seed -- --keep     # leaves the working folder for a look
 */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cli, Deployment } from './deployment';
import { changeFiles, makeFilesystem } from './guest-disk';
import { checkDigests, difference, newest, onlyReplica, traffic } from './look';
import type { Traffic } from './look';
import { killAll } from './programs';
import type { Ran } from './programs';
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
  /** What each step moved, for the table at the end. */
  readonly moved: { readonly step: string; readonly traffic: Traffic }[];
}

/** The seed on its way: the snapshot it was made of, and, once imported, the VM it became. */
interface Carried {
  readonly snapshot: string;
  readonly vm: string;
}

async function main(): Promise<boolean> {
  const story = new Story();
  const folder = mkdtempSync(join(tmpdir(), 'xenrepl-demo-seed-'));
  const pools: DemoPool[] = [];
  try {
    const stage = await setUp(story, folder, pools);
    await deployJob(stage);
    const carried = await carry(stage);
    await guestGoesOn(stage);
    await deploySeed(stage, carried);
    await firstRun(stage, carried);
    await switchOn(stage, carried);
    showBytes(stage);
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
  story.step('Two pools: "source" with a running VM, "target" with an SR, and a thin line between them');
  const rootImage = makeFilesystem(folder, rootDiskBytes);
  const source = await startPool(cli, folder, 'source', sourceSpec(rootImage));
  pools.push(source);
  const target = await startPool(cli, folder, 'target', targetSpec());
  pools.push(target);
  const data = await source.control.diskOf(await source.control.vmUuid('db1'), 1);
  for (const [index, at] of [0, 1, 3, 7].entries()) {
    await source.control.writeDisk(data, at * 1024 ** 3, Buffer.alloc(3 * 1024 ** 2, 0x41 + index));
  }
  story.say('   VM "db1": root is an ext4 filesystem of 256 MiB, data is 8 GiB with 12 MiB in it');
  const deployment = new Deployment(story, folder, pools, 'demo/seed-app.js', 'seeded-site');
  return { story, folder, source, target, rootImage, deployment, moved: [] };
}

/** Does something, and notes under a name what it moved. */
async function measured<T>(stage: Stage, step: string, work: () => Promise<T>): Promise<T> {
  const before = await traffic(stage.source, stage.target);
  const done = await work();
  stage.moved.push({ step, traffic: difference(before, await traffic(stage.source, stage.target)) });
  return done;
}

function deploy(stage: Stage, settings: Readonly<Record<string, string>>): Promise<Ran> {
  return stage.deployment.cdktf(['deploy', '--auto-approve'], settings);
}

async function deployJob(stage: Stage): Promise<void> {
  const { story, deployment } = stage;
  story.step('cdktf deploy: the job, disabled, with initialCopy "seed"');
  const deployed = await measured(stage, 'deploy of the job', () => deploy(stage, {}));
  story.check('cdktf deploy of the job succeeds', deployed.exitCode === 0, 'enabled: false');
  const early = await measured(stage, 'run before the seed is there', () =>
    deployment.xenrepl(['run', '--target-pool', 'target', '--job', 'site']),
  );
  const sentBytes = stage.moved.reduce((sum, { traffic: moved }) => sum + moved.sentBytes, 0);
  story.check(
    'a run before the seed is there sends nothing, and says why',
    early.exitCode !== 0 && early.output.includes('waits for its seed') && sentBytes === 0,
    `exit code ${String(early.exitCode)}, sent ${mib(sentBytes)}`,
  );
}

async function carry(stage: Stage): Promise<Carried> {
  const { story, folder, source, target, deployment } = stage;
  story.step('At the source: a snapshot is taken and written to files. The target is not needed');
  const snapshot = await connected(source, async (pool) => {
    const vm = await pool.call('VM.get_by_uuid', [await source.control.vmUuid('db1')]);
    return pool.call('VM.get_uuid', [await pool.callTask('VM.snapshot', [vm, 'SEED do not delete'])]);
  });
  const here = join(folder, 'paris', 'db1');
  const there = join(folder, 'lyon', 'db1');
  mkdirSync(here, { recursive: true });
  mkdirSync(dirname(there));
  const exported = await measured(stage, 'seed export (to files)', () =>
    deployment.xenrepl([
      'seed',
      'export',
      '--source-pool',
      'source',
      '--snapshot',
      snapshot,
      '--to',
      'paris/db1',
    ]),
  );
  story.check('xenrepl seed export succeeds', exported.exitCode === 0, `snapshot ${snapshot}`);

  story.step('The files travel by road');
  renameSync(here, there);
  for (const name of readdirSync(there)) {
    story.say(`   ${name}: ${mib(statSync(join(there, name)).size)}`);
  }

  story.step('At the target: the files become a halted VM. The source is not needed');
  const imported = await measured(stage, 'seed import (from files)', () =>
    deployment.xenrepl([
      'seed',
      'import',
      '--target-pool',
      'target',
      '--sr',
      'Local storage',
      '--from',
      'lyon/db1',
    ]),
  );
  const vm = /target VM ([0-9a-f-]{36})/.exec(imported.output)?.[1] ?? '';
  story.check('xenrepl seed import succeeds', imported.exitCode === 0 && vm !== '', `VM ${vm}`);
  if (tamper) await tamperWith(target, vm, story);
  return { snapshot, vm };
}

async function tamperWith(target: DemoPool, vm: string, story: Story): Promise<void> {
  const disk = await target.control.diskOf(vm, 1);
  const [byte] = await target.control.readDisk(disk, 3 * 1024 ** 3 + 12_345, 1);
  await target.control.writeDisk(disk, 3 * 1024 ** 3 + 12_345, Buffer.from([(byte ?? 0) ^ 1]));
  story.say('   (--tamper: one bit of disk 1 was flipped)');
}

async function guestGoesOn({ story, source, rootImage, folder }: Stage): Promise<void> {
  story.step('Meanwhile the guest at the source goes on writing');
  const changes = changeFiles(rootImage, folder);
  const root = await source.control.diskOf(await source.control.vmUuid('db1'), 0);
  for (const { offsetBytes, data } of changes) await source.control.writeDisk(root, offsetBytes, data);
  story.say(`   ${mib(changes.reduce((sum, { data }) => sum + data.length, 0))} changed`);
}

async function deploySeed(stage: Stage, carried: Carried): Promise<void> {
  const { story, target } = stage;
  story.step(
    'cdktf deploy with new ReplicaSeed(...): the VM is compared with the digests, and becomes the replica',
  );
  const deployed = await measured(stage, 'deploy of the seed', () => deploy(stage, settingsOf(carried)));
  story.check('cdktf deploy of the seed succeeds', deployed.exitCode === 0, 'every byte was compared');
  const { readBytes, sentBytes } = bytesOf(stage, 'deploy of the seed');
  story.check(
    'no disk of the source was read, and nothing sent',
    readBytes === 0 && sentBytes === 0,
    `read ${mib(readBytes)}, sent ${mib(sentBytes)}`,
  );
  const replica = await onlyReplica(target);
  const point = newest(replica);
  story.check(
    'the VM that was carried is the replica, with one recovery point',
    replica.uuid === carried.vm && point.sourceSnapshotUuid === carried.snapshot,
    `"${point.name}"`,
  );
}

async function firstRun(stage: Stage, carried: Carried): Promise<void> {
  const { story, source, target } = stage;
  story.step('cdktf deploy with new ReplicationRun(...): the first run of the job');
  const settings = { ...settingsOf(carried), XENREPL_RUN_TRIGGER: '1' };
  const deployed = await measured(stage, 'first run', () => deploy(stage, settings));
  story.check('cdktf deploy of the run succeeds', deployed.exitCode === 0, 'trigger "1"');
  const replica = await onlyReplica(target);
  const point = newest(replica);
  story.check(
    'the first run is a delta, to the replica that was carried',
    point.kind === 'delta' && replica.uuid === carried.vm,
    `"${point.name}"`,
  );
  const sentBytes = stage.moved.at(-1)?.traffic.sentBytes ?? 0;
  const carriedBytes = bytesOf(stage, 'seed import (from files)').sentBytes;
  story.check(
    'it sent what changed since the seed, not what the seed holds',
    sentBytes > 0 && sentBytes < carriedBytes / 2,
    `${mib(sentBytes)} sent, ${mib(carriedBytes)} were carried`,
  );
  await checkDigests(story, source, target, point, 'recovery point');
}

async function switchOn(stage: Stage, carried: Carried): Promise<void> {
  const { story, target, deployment } = stage;
  story.step('cdktf deploy with enabled: true; from here the agent keeps the schedule');
  const settings = { ...settingsOf(carried), XENREPL_RUN_TRIGGER: '1', XENREPL_ENABLED: 'true' };
  const deployed = await deploy(stage, settings);
  story.check('cdktf deploy of the enabled job succeeds', deployed.exitCode === 0, 'enabled: true');
  const { points } = await onlyReplica(target);
  story.check(
    "retention has retired the seed's own recovery point",
    points.every(({ sourceSnapshotUuid }) => sourceSnapshotUuid !== carried.snapshot),
    `${String(points.length)} kept, made by a run`,
  );
  await deployment.checkCleanPlan();
}

function settingsOf({ snapshot, vm }: Carried): Readonly<Record<string, string>> {
  return { XENREPL_SEED_SNAPSHOT: snapshot, XENREPL_SEED_VM: vm, XENREPL_SEED_DIGESTS: 'lyon/db1' };
}

function bytesOf({ moved }: Stage, step: string): Traffic {
  return moved.find((one) => one.step === step)?.traffic ?? { readBytes: 0, sentBytes: 0 };
}

function showBytes({ story, moved }: Stage): void {
  const width = Math.max(...moved.map(({ step }) => step.length));
  story.say(`\n${''.padEnd(width)}  ${'read from source'.padStart(18)}  ${'sent to target'.padStart(18)}`);
  for (const { step, traffic: bytes } of moved) {
    const figures = [bytes.readBytes, bytes.sentBytes].map((one) => mib(one).padStart(18));
    story.say(`${step.padEnd(width)}  ${figures.join('  ')}`);
  }
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
