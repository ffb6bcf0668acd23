/** Commits and marks are copied, or the replica is, at moments when that would be wrong. */
import { CallRefused } from '../admin';
import { Wrong } from '../judge';
import { newestCommit, reimport, replicaOf } from '../people';
import type { FaultPoint, Group } from '../point';
import type { Gate, Stage } from '../stage';
import { recover, strike } from '../strike';
import type { Blow } from '../strike';
import { View } from '../view';
import type { ViewedVm } from '../view';

export function copyGroups(): readonly Group[] {
  return [
    {
      title: 'commit copied',
      outcome:
        'a copy of a commit counts for nothing: the run goes on from the true one and leaves the copy alone',
      points: [
        copied('recovery point cloned', async (stage) => {
          await stage.admin.target.call('VM.clone', (await newestCommit(stage)).vm.ref, 'mine');
        }),
        copied('recovery point copied in full', async (stage) => {
          await stage.admin.target.call(
            'VM.copy',
            (await newestCommit(stage)).vm.ref,
            'mine',
            'OpaqueRef:NULL',
          );
        }),
        copied('recovery point cloned, and the clone snapshotted', async (stage) => {
          const clone = await stage.admin.target.text('VM.clone', (await newestCommit(stage)).vm.ref, 'mine');
          await stage.admin.target.call('VM.snapshot', clone, 'mine');
        }),
        copied('replica cloned', async (stage) => {
          await stage.admin.target.call('VM.clone', (await replicaOf(stage)).ref, 'mine');
        }),
        copied('replica snapshotted', async (stage) => {
          await stage.admin.target.call('VM.snapshot', (await replicaOf(stage)).ref, 'mine');
        }),
        copied('replica reverted to its newest point', async (stage) => {
          await stage.admin.target.call('VM.revert', (await newestCommit(stage)).vm.ref);
        }),
        copied(
          'replica reverted to an older point',
          async (stage) => {
            const [older] = (await View.of(stage.site.target)).commits;
            await stage.admin.target.call('VM.revert', older?.vm.ref ?? '');
          },
          // Disks that the pool took off the replica for the revert, and left: nobody's mark says whose they are.
          [/target: disk .* unused/],
        ),
        copied('recovery point exported and imported as XVA', async (stage) => {
          await reimport(stage, 'target', (await newestCommit(stage)).vm.uuid);
        }),
        copied('replica exported and imported as XVA', async (stage) => {
          await reimport(stage, 'target', (await replicaOf(stage)).uuid);
        }),
        copied('source snapshot cloned', async (stage) => {
          const { sourceSnapshot } = await newestCommit(stage);
          const { source } = stage.admin;
          await source.call('VM.clone', await source.ref('VM', sourceSnapshot), 'mine');
        }),
        copied('source snapshot exported and imported as XVA', async (stage) => {
          await reimport(stage, 'source', (await newestCommit(stage)).sourceSnapshot);
        }),
        copied('source VM cloned', async (stage) => {
          const { source } = stage.admin;
          const vm = await source.ref('VM', stage.vm);
          await source.call('VM.hard_shutdown', vm);
          await source.call('VM.set_tags', await source.text('VM.clone', vm, 'mine'), []);
        }),
      ],
    },
    {
      title: 'replica copied in the exchange of its disks',
      outcome: 'refused, or a copy of one instant: of the point before or of the one after, never of both',
      points: [
        ...(['VM.clone', 'VM.snapshot', 'VM.copy', 'export'] as const).flatMap((operation) =>
          moments.map((moment) => inExchange(operation, moment)),
        ),
        hammered(),
      ],
    },
  ];
}

/** What people make of copies is theirs and may stand there. */
const theirs = [
  /VM "mine"/,
  /VM "db1.*" besides/,
  /snapshot "mine/,
  /(source|target): \d+ snapshots/,
  /VM "\[Replication/,
];

function copied(
  name: string,
  before: NonNullable<Blow['before']>,
  leftByPool: readonly RegExp[] = [],
): FaultPoint {
  return {
    name,
    from: 'own',
    play: async (stage, random) => {
      let kept: readonly ViewedVm[] = [];
      const keep = async (at: Stage): Promise<void> => {
        await before(at);
        kept = await minesOf(at);
      };
      await strike(stage, random, { before: keep, expect: 'at-once', tolerated: [...theirs, ...leftByPool] });
      const left = new Set((await minesOf(stage)).map(({ uuid }) => uuid));
      const lost = kept.filter(({ uuid }) => !left.has(uuid));
      if (lost.length > 0)
        throw new Wrong([`somebody’s copy is gone: ${lost.map((vm) => vm.name).join(', ')}`]);
    },
  };
}

async function minesOf(stage: Stage): Promise<readonly ViewedVm[]> {
  const [source, target] = [await View.of(stage.site.source), await View.of(stage.site.target)];
  return [...source.vms, ...target.vms].filter(({ name }) => name === 'mine');
}

/** Before which call of the engine on the target the copy is asked for. */
const moments: readonly (readonly [method: string, nth: number])[] = [
  ['VM.add_to_other_config', 1],
  ['VBD.destroy', 1],
  ['VBD.create', 1],
  ['VBD.destroy', 2],
  ['VBD.create', 2],
  ['VM.snapshot', 1],
  ['VM.remove_from_other_config', 1],
];

type Operation = 'VM.clone' | 'VM.snapshot' | 'VM.copy' | 'export';

function inExchange(operation: Operation, [method, nth]: readonly [string, number]): FaultPoint {
  return {
    name: `${operation} asked for before ${method}${nth === 1 ? '' : ` #${String(nth)}`}`,
    from: 'own',
    play: async (stage, random) => {
      const instants = await knownInstants(stage);
      const act: Gate['act'] = (at) => copy(at, operation);
      await strike(stage, random, {
        gates: [{ side: 'target', method, nth, act }],
        expect: 'succeeds',
        tolerated: theirs,
      });
      await assertInstants(stage, instants);
    },
  };
}

/** Copies without a pause while a run goes, each either refused or whole. */
function hammered(): FaultPoint {
  return {
    name: 'clones asked for without a pause',
    from: 'own',
    play: async (stage, random) => {
      await stage.write(random);
      const instants = await knownInstants(stage);
      const copying = { on: true };
      const busy = (async () => {
        while (copying.on) await copy(stage, 'VM.clone');
      })();
      const { report } = await stage.run();
      copying.on = false;
      await busy;
      if (!report.ok) throw new Wrong([JSON.stringify(report.vms)]);
      await stage.judge.clean(theirs);
      await assertInstants(stage, instants);
      await recover(stage, { tolerated: theirs });
    },
  };
}

async function copy(stage: Stage, operation: Operation): Promise<void> {
  const replica = await replicaOf(stage);
  const { target } = stage.admin;
  try {
    if (operation === 'export') await reimport(stage, 'target', replica.uuid);
    else if (operation === 'VM.copy') await target.call(operation, replica.ref, 'mine', 'OpaqueRef:NULL');
    else await target.call(operation, replica.ref, 'mine');
  } catch (error) {
    const refused =
      error instanceof CallRefused && (refusals.has(error.code) || error.code.startsWith('HTTP 5'));
    if (!refused) throw error;
  }
}

const refusals: ReadonlySet<string> = new Set(['OPERATION_BLOCKED', 'OTHER_OPERATION_IN_PROGRESS']);

async function contentOf(stage: Stage, vm: ViewedVm): Promise<string> {
  const digests = await Promise.all(
    vm.disks.map(async ({ device, uuid }) => {
      const { sha256 } = await stage.site.target.control.digestDisk(uuid);
      return `${device} ${sha256}`;
    }),
  );
  return digests.join(', ');
}

/** Contents of whole replicas that stood at some instant. */
async function knownInstants(stage: Stage): Promise<Set<string>> {
  const commits = (await View.of(stage.site.target)).commits;
  return new Set(await Promise.all(commits.map(({ vm }) => contentOf(stage, vm))));
}

async function assertInstants(stage: Stage, before: ReadonlySet<string>): Promise<void> {
  const after = await knownInstants(stage);
  const view = await View.of(stage.site.target);
  const replica = await replicaOf(stage);
  const copies = view.vms.filter(
    (vm) =>
      !vm.isControlDomain &&
      !vm.isTemplate &&
      vm.uuid !== replica.uuid &&
      !view.commits.some((commit) => commit.vm.uuid === vm.uuid),
  );
  for (const one of copies) {
    const content = await contentOf(stage, one);
    if (!before.has(content) && !after.has(content))
      throw new Wrong([`copy "${one.name}" of ${String(one.disks.length)} disks is of no one instant`]);
  }
}
