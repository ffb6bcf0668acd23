/** Storage is full, or chains of disks are as long as they may be. */
import type { SimulatorSpec } from '../../../lib/simulator';
import { vmRecord } from '../../engine/seed/carried';
import { Wrong } from '../judge';
import { attachDisk, destroyVm } from '../people';
import type { FaultPoint, Group } from '../point';
import { mib, smallSpec } from '../stage';
import type { Side, Stage } from '../stage';
import { recover, strike } from '../strike';

export function spaceGroups(): readonly Group[] {
  return [
    {
      title: 'storage full',
      outcome:
        'refused before a byte is sent, or failed with nothing left; once there is room the next run replicates',
      points: [
        fullBefore('ext'),
        fullBefore('lvm'),
        fullInTransfer(),
        fullAtSourceSnapshot(),
        fullAtPointSnapshot(),
      ],
    },
    {
      title: 'chain of disks at its limit',
      outcome:
        'put off by the job’s own limit, else failed with the storage’s own error at 30; then replicated',
      points: (['source', 'target'] as const).flatMap((side) => [
        chainFull(side, 6, 'deferred'),
        chainFull(side, 1000, 'SR_BACKEND_FAILURE_109'),
      ]),
    },
  ];
}

function spec(
  changes: Readonly<Partial<Record<Side, { readonly type?: 'ext' | 'lvm'; readonly sizeBytes?: number }>>>,
): SimulatorSpec {
  return {
    ...smallSpec,
    pools: smallSpec.pools.map((pool) => ({
      ...pool,
      coalesceDelayMs: null,
      srs: pool.srs.map((sr) => ({ ...sr, ...changes[pool.name as Side] })),
    })),
  };
}

/** The plan sums up what is needed: nothing is sent. */
function fullBefore(type: 'ext' | 'lvm'): FaultPoint {
  return {
    name: `no room on the target (${type}) for the first copy`,
    from: 'empty',
    spec: spec({ target: { type, sizeBytes: type === 'ext' ? 4 * mib : 48 * mib } }),
    play: async (stage, random) => {
      await stage.fill(0, 0, 8 * mib, 0x11);
      await stage.write(random);
      await stage.site.target.control.resetCounters();
      const { report } = await stage.run();
      const outcome = report.vms[0]?.outcome;
      if (outcome?.kind !== 'blocked') throw new Wrong([`expected blocked, got ${JSON.stringify(outcome)}`]);
      const { bytesImported } = await stage.site.target.control.counters();
      if (bytesImported > 0) throw new Wrong([`${String(bytesImported)} bytes were sent all the same`]);
      if ((await stage.judge.points()).size > 0) throw new Wrong(['there is a recovery point']);
    },
  };
}

/** Somebody else fills the storage while a disk is on its way. */
function fullInTransfer(): FaultPoint {
  return {
    name: 'the target fills up in a transfer',
    from: 'empty',
    spec: spec({ target: { sizeBytes: 40 * mib } }),
    play: async (stage, random) => {
      const guest = await otherGuest(stage);
      await strike(stage, random, {
        gates: [{ side: 'target', method: 'openImport', act: () => fillUp(stage, guest) }],
        expect: { fails: 'VDI_IO_ERROR|SR_BACKEND_FAILURE_44|blocked' },
        remedy: () => destroyVm(stage, 'target', guest.vm),
      });
    },
  };
}

function fullAtSourceSnapshot(): FaultPoint {
  return {
    name: 'the source has no room for a snapshot',
    from: 'empty',
    spec: spec({ source: { type: 'lvm', sizeBytes: 60 * mib } }),
    play: async (stage, random) => {
      await stage.fill(0, 0, 8 * mib, 0x11);
      await stage.write(random);
      const { report } = await stage.run();
      const outcome = report.vms[0]?.outcome;
      if (outcome?.kind !== 'blocked') throw new Wrong([`expected blocked, got ${JSON.stringify(outcome)}`]);
      if ((await stage.judge.points()).size > 0) throw new Wrong(['there is a recovery point']);
    },
  };
}

/** On thick storage the snapshot that makes a recovery point needs as much room again as the disks hold. */
function fullAtPointSnapshot(): FaultPoint {
  return {
    name: 'the target (lvm) fills up before the recovery point’s snapshot',
    from: 'empty',
    spec: spec({ target: { type: 'lvm', sizeBytes: 150 * mib } }),
    play: async (stage, random) => {
      const guests: Guest[] = [];
      await strike(stage, random, {
        gates: [
          {
            side: 'target',
            method: 'VM.snapshot',
            act: async () => {
              for (;;) {
                try {
                  guests.push(await otherGuest(stage));
                } catch {
                  return;
                }
              }
            },
          },
        ],
        expect: { fails: 'SR_BACKEND_FAILURE_44' },
        remedy: async () => {
          for (const { vm } of guests) await destroyVm(stage, 'target', vm);
        },
      });
    },
  };
}

interface Guest {
  readonly vm: string;
  readonly vdi: string;
}

/** A VM of somebody else's on the target. */
async function otherGuest(stage: Stage): Promise<Guest> {
  const { target } = stage.admin;
  const record = vmRecord({ name_label: 'somebody', memory_static_max: 256 * mib }, {});
  const vm = await target.text('VM.create', { ...record });
  const vdi = await attachDisk(stage, 'target', vm, '0', 'somebody’s').catch(async (error: unknown) => {
    await target.call('VM.destroy', vm);
    throw error;
  });
  return { vm: await target.text('VM.get_uuid', vm), vdi };
}

async function fillUp(stage: Stage, { vdi }: Guest): Promise<void> {
  const { target } = stage.admin;
  await target.call('VDI.resize', await target.ref('VDI', vdi), 64 * mib);
  for (let atBytes = 0; ; atBytes += 2 * mib) {
    try {
      await stage.site.target.control.writeDisk(vdi, atBytes, Buffer.alloc(2 * mib, 0x99));
    } catch {
      return;
    }
  }
}

/** Nothing is merged until told to: each run makes the chains longer. */
function chainFull(side: Side, maxChainDepth: number, said: string): FaultPoint {
  return {
    name: `on the ${side}: ${said}`,
    from: 'empty',
    spec: spec({}),
    // Thirty runs.
    maxMs: 420_000,
    play: async (stage, random) => {
      stage.job = { ...stage.job, maxChainDepth };
      const other = side === 'source' ? 'target' : 'source';
      for (let run = 1; ; run += 1) {
        await stage.write(random);
        const { report } = await stage.run();
        const outcome = report.vms[0]?.outcome;
        if (outcome?.kind === 'replicated') await stage.pool(other).control.coalesce();
        else if (outcome?.error.code === said) break;
        else throw new Wrong([`run ${String(run)}: ${JSON.stringify(outcome)}`]);
        if (run > 40) throw new Wrong(['the chain never came to its limit']);
      }
      await stage.judge.commitsTrue();
      await stage.pool(side).control.coalesce();
      await recover(stage);
    },
  };
}
