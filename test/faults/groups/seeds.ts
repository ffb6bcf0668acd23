/** Seeds carried by hand, as users of Xen Orchestra do it and as they do it with us; jobs that share a VM. */
import { parseXapiDate } from '../../../lib/xapi';
import { attach, carried, unknownJob } from '../../engine/seed/carried';
import type { Carried } from '../../engine/seed/carried';
import { Wrong } from '../judge';
import type { FaultPoint, Group } from '../point';
import type { Random } from '../random';
import type { Stage } from '../stage';
import { recover } from '../strike';
import { View } from '../view';

export function seedGroups(): readonly Group[] {
  return [
    {
      title: 'seed carried by hand',
      outcome: 'never deleted; once attached only a delta travels, into that very VM',
      points: [
        seeded('attached, then run', async (stage, seed) => {
          await attachIt(stage, seed);
        }),
        seeded(
          'marked by the seed tool of Xen Orchestra alone: refused, then attached',
          async (stage, seed) => {
            await markAsXoDoes(stage, seed);
            await expectKind(stage, 'blocked');
            await attachIt(stage, seed);
          },
        ),
        seeded(
          'a job that waits for its seed: refused without a byte, then attached',
          async (stage, seed) => {
            stage.job = { ...stage.job, initialCopy: 'seed' };
            await expectKind(stage, 'blocked');
            await attachIt(stage, seed);
          },
        ),
        seeded('otherwise than its snapshot: attaching refused, then repaired', async (stage, seed) => {
          const disk = (await diskUuids(stage, seed.vm))[0] ?? '';
          await stage.site.target.control.writeDisk(disk, 4096, Buffer.alloc(512, 0x6b));
          const said = await attachIt(stage, seed).then(
            () => 'attached',
            (error: unknown) => (error instanceof Error ? error.name : String(error)),
          );
          if (said === 'attached') throw new Wrong(['a seed with other content was attached']);
          await attachIt(stage, seed, true);
        }),
      ],
    },
    {
      title: 'two jobs on one VM',
      outcome: 'each has a replica, bases and snapshots of its own; neither sees the other’s as garbage',
      points: [two('one after the other', false), two('at once', true)],
    },
  ];
}

type Act = (stage: Stage, seed: Carried) => Promise<void>;

/** The person's snapshot stays with the person. */
const theirs = [/SEED do not delete/, /source: \d snapshots/];

function seeded(name: string, act: Act): FaultPoint {
  return {
    name,
    from: 'empty',
    play: async (stage, random) => {
      await stage.write(random);
      const seed = await carried(stage.site);
      await act(stage, seed);
      await stage.write(random);
      const { report } = await stage.run();
      const [vm] = report.vms;
      if (vm?.outcome.kind !== 'replicated') throw new Wrong([JSON.stringify(vm?.outcome)]);
      if (vm.outcome.copyKind !== 'delta') throw new Wrong(['a full was sent after the seed']);
      if (vm.outcome.replica.uuid !== seed.vm) throw new Wrong(['the replica is another VM than the seed']);
      await stage.judge.toldTruth(report);
      await recover(stage, { tolerated: theirs });
    },
  };
}

async function attachIt(stage: Stage, seed: Carried, repair = false): Promise<void> {
  const { jobId, scheduleId } = stage.job;
  const verify = 'full' as const;
  await attach(stage.site, seed, { ...unknownJob, jobId, scheduleId }, { verify, repair });
}

async function expectKind(stage: Stage, kind: string): Promise<void> {
  await stage.site.target.control.resetCounters();
  const { report } = await stage.run();
  const said = report.vms[0]?.outcome.kind;
  if (said !== kind) throw new Wrong([`expected ${kind}, got ${String(said)}`]);
  const { bytesImported } = await stage.site.target.control.counters();
  if (bytesImported > 0) throw new Wrong([`${String(bytesImported)} bytes were sent all the same`]);
}

async function diskUuids(stage: Stage, vm: string): Promise<readonly string[]> {
  return (await View.of(stage.site.target)).vm(vm).disks.map(({ uuid }) => uuid);
}

/** What cr-seed-cli 1.0.2 writes: keys on both VMs, on the target's disks, and none on the source's disks. */
async function markAsXoDoes(stage: Stage, seed: Carried): Promise<void> {
  const { source, target } = stage.admin;
  const [snapshot, vm] = [await source.ref('VM', seed.snapshot), await target.ref('VM', seed.vm)];
  const takenMs = parseXapiDate(await source.text('VM.get_snapshot_time', snapshot));
  const { jobId, scheduleId, target: place } = stage.job;
  const common = {
    'xo:backup:datetime': new Date(takenMs).toISOString().replace(/-|\.\d+/g, ''),
    'xo:backup:job': jobId,
    'xo:backup:schedule': scheduleId,
    'xo:backup:vm': stage.vm,
  };
  for (const [key, value] of Object.entries({ ...common, 'xo:backup:exported': 'true' }))
    await source.call('VM.add_to_other_config', snapshot, key, value);
  const own = { ...common, 'xo:backup:sr': place.srUuid, 'xo:copy_of': seed.snapshot };
  for (const [key, value] of Object.entries(own)) await target.call('VM.add_to_other_config', vm, key, value);
  const from = (await View.of(stage.site.source)).vm(seed.snapshot).disks;
  for (const [index, disk] of (await diskUuids(stage, seed.vm)).entries()) {
    const copied = from[index]?.uuid ?? '';
    await target.call('VDI.add_to_other_config', await target.ref('VDI', disk), 'xo:copy_of', copied);
  }
}

function two(name: string, together: boolean): FaultPoint {
  return {
    name,
    from: 'own',
    play: async (stage, random: Random) => {
      const other = { ...stage.job, jobId: '22222222-2222-4222-8222-222222222222', name: 'other' };
      for (let round = 0; round < 2; round += 1) {
        await stage.write(random);
        const first = stage.run();
        if (!together) await first;
        const ended = [await stage.run({ job: other }), await first];
        for (const { report } of ended) if (!report.ok) throw new Wrong([JSON.stringify(report.vms)]);
      }
      await stage.judge.commitsTrue();
      await recover(stage, { tolerated: [/source: \d snapshots/, /target: \d snapshots/] });
    },
  };
}
