/** The engine's process dies by SIGKILL. */
import type { FaultRule } from '../../../lib/simulator';
import { diskName, downloadPlaces, uploadPlaces, writeThreeBlocks } from '../frames';
import type { Place } from '../frames';
import { Wrong } from '../judge';
import { destroyVm, newestCommit } from '../people';
import type { FaultPoint, Group, Start } from '../point';
import type { Random } from '../random';
import { mib, Stage } from '../stage';
import type { Side } from '../stage';
import { recover } from '../strike';
import type { ChangingCall } from '../victim';
import type { Victims } from '../victims';
import { busyDisks, until } from '../wait';

/** Which calls a first run and a later one make that change something, found by watching one of each. */
export interface CallsSeen {
  readonly first: readonly ChangingCall[];
  readonly later: readonly ChangingCall[];
  /** Of a run that finds nothing changed. */
  readonly idle: readonly ChangingCall[];
  /** Of a later run that leaves out what the index of grains says stands on the target already. */
  readonly remembering: readonly ChangingCall[];
}

export async function watchCalls(victims: Victims, random: Random): Promise<CallsSeen> {
  await using stage = await Stage.open(victims);
  const seen: (readonly ChangingCall[])[] = [];
  for (let run = 0; run < 4; run += 1) {
    if (run < 3) await stage.write(random);
    const { output } = await victims.start(stage, null).ended;
    if (output?.report?.ok !== true)
      throw new Error(`a run without faults failed: ${JSON.stringify(output)}`);
    seen.push(output.calls);
  }
  // The third one also destroys what the second superseded.
  const [first = [], , later = [], idle = []] = seen;
  stage.remembers = true;
  for (let run = 0; run < 2; run += 1) {
    await writeThreeBlocks(stage);
    const { output } = await victims.start(stage, null).ended;
    seen.push(output?.calls ?? []);
  }
  return { first, later, idle, remembering: seen.at(-1) ?? [] };
}

export function killedGroups(calls: CallsSeen): readonly Group[] {
  return [
    {
      title: 'killed after a call, first run',
      outcome: 'commits are true at that moment; the next run replicates and leaves nothing',
      points: calls.first.map((call) => killedAfter(call, 'empty')),
    },
    {
      title: 'killed after a call, later run',
      outcome: 'as in a first run; older points stay as they were',
      points: calls.later.map((call) => killedAfter(call, 'replica')),
    },
    {
      title: 'killed after a call, nothing has changed',
      outcome: 'as in a later run',
      points: calls.idle.map((call) => killedAfter(call, 'replica', false)),
    },
    {
      title: 'killed with an index of grains, and then the guest takes back what it wrote',
      outcome: 'whatever run the index is of, what changed since is sent: both next runs are true copies',
      points: calls.remembering.map(killedRemembering),
    },
    {
      title: 'killed inside a transfer',
      outcome: 'what arrived never counts; the next run replicates and leaves nothing',
      points: [
        ...uploadPlaces.map((place) => killedInside('import', place, 'replica')),
        ...downloadPlaces
          .filter((_, index) => index % 2 === 0)
          .map((place) => killedInside('export', place, 'replica')),
        ...[0, 9, 1024 ** 2].map((afterBytes) =>
          killedInside(
            'import',
            { name: `after ${String(afterBytes)} bytes of a full`, afterBytes },
            'empty',
          ),
        ),
      ],
    },
    {
      title: 'killed in a full that follows a lost base',
      outcome: 'the points that stood still stand; the next run replicates and leaves nothing',
      points: [0, 3 * mib, 6 * mib].map((sentBytes) => killedInLaterFull(sentBytes)),
    },
    {
      title: 'killed while its snapshot has the guest shut down',
      outcome: 'the next run starts the guest before anything else, and replicates',
      points: [
        killedOffline('Async.VM.clean_shutdown'),
        killedOffline('VM.snapshot'),
        killedOffline('Async.VM.start'),
      ],
    },
    {
      title: 'an upload outlives its process',
      outcome:
        'no run writes to that disk; it is discarded once it is quiet, by the next run or the one after',
      points: [mib, 3 * mib, 5 * mib].flatMap((sentBytes) =>
        [200, 2500].map((lingerMs) => outlived(sentBytes, lingerMs)),
      ),
    },
    {
      title: 'a call carried out after its caller died',
      outcome: 'the next run replicates; what came into being late is gone after one more',
      points: lateCalls,
    },
  ];
}

function killedAfter(call: ChangingCall, from: Start, writes = true): FaultPoint {
  return {
    name: `${call.side} ${call.method} #${String(call.nth)}`,
    from,
    play: async (stage, random) => {
      if (writes) await stage.write(random);
      const { killed } = await stage.victims.start(stage, call).ended;
      if (!killed) throw new Wrong([`the run made no ${call.method} #${String(call.nth)}`]);
      await afterDeath(stage);
    },
  };
}

/** What a guest takes back is what an index of an older recovery point would take for unchanged. */
function killedRemembering(call: ChangingCall): FaultPoint {
  return {
    name: `${call.side} ${call.method} #${String(call.nth)}`,
    from: 'replica',
    play: async (stage) => {
      stage.remembers = true;
      try {
        // As much each time: grains that are left out must not change the number of calls.
        await writeThreeBlocks(stage);
        await recover(stage);
        const before = await stage.contents();
        await writeThreeBlocks(stage);
        const { killed } = await stage.victims.start(stage, call).ended;
        if (!killed) throw new Wrong([`the run made no ${call.method} #${String(call.nth)}`]);
        await afterDeath(stage);
        await stage.writeBack(before);
        await recover(stage);
      } finally {
        stage.remembers = false;
      }
    },
  };
}

async function afterDeath(stage: Stage, nextRuns = 1): Promise<void> {
  await stage.judge.commitsTrue();
  await stage.clearFaults();
  await stage.outwaitLease();
  await recover(stage, { nextRuns });
}

function killedInside(transfer: 'import' | 'export', place: Place, from: Start): FaultPoint {
  const side: Side = transfer === 'import' ? 'target' : 'source';
  const counter = transfer === 'import' ? 'bytesImported' : 'bytesExported';
  return {
    name: `${transfer === 'import' ? 'upload' : 'download'} ${place.name}`,
    from,
    play: async (stage) => {
      await writeThreeBlocks(stage);
      const { control } = stage.pool(side);
      const { afterBytes, skip = 0 } = place;
      // The pool sees the end of the connection exactly there, and the process dies before it can do anything about it.
      await control.addFault({
        match: { transfer, object: diskName },
        skip,
        effect: { kind: 'cut', afterBytes },
      });
      await control.resetCounters();
      const victim = stage.victims.start(stage, null);
      await until('the transfer has come to its place', async () => {
        const [rule] = await control.faultCounters();
        return rule?.hits === 1 && (await control.counters())[counter] >= afterBytes;
      });
      victim.kill();
      await victim.ended;
      await afterDeath(stage);
    },
  };
}

function killedInLaterFull(sentBytes: number): FaultPoint {
  return {
    name: `${String(sentBytes / mib)} MiB sent`,
    from: 'own',
    play: async (stage, random) => {
      await stage.write(random);
      await stage.judge.remember();
      await destroyVm(stage, 'source', (await newestCommit(stage)).sourceSnapshot);
      stage.job = { ...stage.job, onMissingBase: 'full' };
      const { killed } = await stage.victims.start(stage, { sentBytes }).ended;
      if (!killed) throw new Wrong(['the run ended before it was killed']);
      await afterDeath(stage);
    },
  };
}

function killedOffline(method: string): FaultPoint {
  return {
    name: `after ${method}`,
    from: 'own',
    play: async (stage, random) => {
      await stage.write(random);
      const { groupSkewMs } = stage.job.snapshot;
      stage.job = { ...stage.job, snapshot: { mode: 'offline', groupSkewMs } };
      const call = { side: 'source', method, nth: 1 } as const;
      const { killed } = await stage.victims.start(stage, call).ended;
      if (!killed) throw new Wrong([`the run made no ${method}`]);
      await afterDeath(stage);
      const { source } = stage.admin;
      const state = await source.text('VM.get_power_state', await source.ref('VM', stage.vm));
      if (state !== 'Running') throw new Wrong([`the guest is ${state}`]);
    },
  };
}

function outlived(sentBytes: number, lingerMs: number): FaultPoint {
  return {
    name: `${String(sentBytes / mib)} MiB sent, alive for ${String(lingerMs)} ms more`,
    from: 'replica',
    play: async (stage) => {
      await writeThreeBlocks(stage);
      const { control } = stage.pool('target');
      const effect = { kind: 'linger', ms: lingerMs } as const;
      // Every upload of the disk: the process may die in any of its segments.
      await control.addFault({ match: { transfer: 'import', object: diskName }, max: 9, effect });
      const { killed } = await stage.victims.start(stage, { sentBytes }).ended;
      if (!killed) throw new Wrong(['the run ended before it was killed']);
      await stage.judge.commitsTrue();
      await stage.clearFaults();
      await stage.outwaitLease();
      const { report } = await stage.run();
      if (!report.ok) throw new Wrong([`the run after it: ${JSON.stringify(report.vms)}`]);
      await stage.judge.commitsTrue();
      await until('the dead upload has ended', async () => (await busyDisks(stage, 'target')) === 0);
      await stage.judge.commitsTrue();
      await recover(stage);
    },
  };
}

/** XAPI goes on with what it was told to do in the background, whoever has died meanwhile. */
const lateCalls: readonly FaultPoint[] = (
  [
    ['source', 'VM.snapshot', 1],
    ['target', 'VM.clone', 1],
    ['target', 'VM.snapshot', 1],
    ['target', 'VDI.destroy', 1],
  ] as const
).flatMap(([side, method, nth]) =>
  [150, 400].map((ms) => late({ side, method: `Async.${method}`, nth }, ms, 'replica')),
);

function late(call: ChangingCall, ms: number, from: Start): FaultPoint {
  const rule: FaultRule = {
    match: { method: call.method.replace('Async.', '') },
    effect: { kind: 'delay', ms },
  };
  return {
    name: `${call.side} ${call.method} ${String(ms)} ms late`,
    from,
    play: async (stage, random) => {
      await stage.write(random);
      const { control } = stage.pool(call.side);
      await control.addFault(rule);
      const victim = stage.victims.start(stage, null);
      await until(`${call.method} was asked for`, async () => {
        const [counter] = await control.faultCounters();
        return (counter?.hits ?? 0) > 0;
      });
      victim.kill();
      await victim.ended;
      await stage.judge.commitsTrue();
      await stage.clearFaults();
      await stage.site.target.control.advanceClock(125_000 - ms);
      // Not judged for leftovers yet: the late call may be carried out in the middle of this run.
      await stage.run();
      await until('the late call was carried out', async () => {
        const { task = {} } = await stage.pool(call.side).control.inventory();
        return Object.values(task).every(({ status }) => status !== 'pending');
      });
      await stage.judge.commitsTrue();
      await recover(stage);
    },
  };
}
