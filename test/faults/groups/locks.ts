/** Several runs want the same VM; one of them has slept for too long. */
import type { Clock } from '../../../lib/engine';
import { quickClock } from '../clock';
import { Wrong } from '../judge';
import type { FaultPoint, Group } from '../point';
import type { Ended, Stage } from '../stage';
import { recover, strike } from '../strike';
import type { ChangingCall } from '../victim';
import type { CallsSeen } from './killed';

export function lockGroups(calls: CallsSeen): readonly Group[] {
  return [
    {
      title: 'several runs at once',
      outcome: 'exactly one replicates, the others say who holds the lock',
      points: [2, 3, 5].flatMap((count) => [together(count, false), together(count, true)]),
    },
    { title: 'lock', outcome: 'as stated for each', points: locks },
    {
      title: 'a run that sleeps until another took over',
      outcome:
        'whenever it wakes it destroys nothing of the other; both tell the truth; one more run leaves nothing',
      points: sleepers(calls),
    },
  ];
}

/** @param expired a dead run's lock has just run out, and all want it */
function together(count: number, expired: boolean): FaultPoint {
  return {
    name: `${String(count)} runs${expired ? ' race for an expired lock' : ''}`,
    from: 'replica',
    play: async (stage, random) => {
      await stage.write(random);
      if (expired) {
        const call = { side: 'target', method: 'pool.add_to_other_config', nth: 1 } as const;
        await stage.victims.start(stage, call).ended;
        await stage.outwaitLease();
      }
      const ended = await Promise.all(Array.from({ length: count }, () => stage.run()));
      const said = ended.map(({ report }) => report.vms[0]?.outcome.kind ?? 'nothing');
      const wrong = said.filter((kind) => kind !== 'locked' && kind !== 'replicated');
      if (wrong.length > 0 || said.filter((kind) => kind === 'replicated').length !== 1)
        throw new Wrong([`they said ${said.join(', ')}`]);
      await stage.judge.clean();
      await recover(stage);
    },
  };
}

const locks: readonly FaultPoint[] = [
  {
    name: 'the holder is dead: refused until its lease has run out',
    from: 'replica',
    play: async (stage, random) => {
      await stage.write(random);
      const call = { side: 'source', method: 'VM.set_name_label', nth: 1 } as const;
      await stage.victims.start(stage, call).ended;
      const { report } = await stage.run();
      if (report.vms[0]?.outcome.kind !== 'locked')
        throw new Wrong(['a run went past the lock of a dead one']);
      await stage.outwaitLease();
      await recover(stage);
    },
  },
  {
    name: 'the holder is dead: a run that waits gets the lock when the lease has run out',
    from: 'replica',
    play: async (stage, random) => {
      await stage.write(random);
      const call = { side: 'target', method: 'Async.VM.clone', nth: 1 } as const;
      await stage.victims.start(stage, call).ended;
      let moved = false;
      const { report } = await stage.run({
        lockWaitMs: 3_600_000,
        context: {
          emit: ({ kind }) => {
            if (kind !== 'lock-waiting' || moved) return;
            moved = true;
            void stage.outwaitLease();
          },
        },
      });
      if (report.vms[0]?.outcome.kind !== 'replicated') throw new Wrong([JSON.stringify(report.vms)]);
      await recover(stage);
    },
  },
  jump('the target’s clock jumps by three minutes before the exchange', 'VM.add_to_other_config', 180_000),
  jump('the target’s clock jumps by three minutes before the commit', 'VM.snapshot', 180_000),
  jump('the target’s clock jumps by a day before the exchange', 'VBD.create', 86_400_000),
  {
    name: 'the source’s clock jumps by a month',
    from: 'replica',
    play: (stage, random) =>
      strike(stage, random, {
        gates: [
          {
            side: 'source',
            method: 'VM.snapshot',
            act: (at) => at.pool('source').control.advanceClock(30 * 86_400_000),
          },
        ],
        expect: 'succeeds',
      }),
  },
  ...[-3_600_000, 3_600_000].map((jumpMs): FaultPoint => ({
    name: `the runner’s own clock jumps by ${String(jumpMs / 60_000)} minutes`,
    from: 'replica',
    play: (stage, random) => {
      let offsetMs = 0;
      const clock: Clock = {
        nowMs: () => quickClock.nowMs() + offsetMs,
        sleep: (ms, signal) => quickClock.sleep(ms, signal),
      };
      const emit = ({ kind }: { readonly kind: string }): void => {
        if (kind === 'disk-opened') offsetMs = jumpMs;
      };
      return strike(stage, random, { run: { context: { clock, emit } }, expect: 'at-once' });
    },
  })),
];

/** The lease runs out under a living holder: it must stop before it does anything that cannot be undone. */
function jump(name: string, method: string, ms: number): FaultPoint {
  return {
    name,
    from: 'replica',
    play: (stage, random) =>
      strike(stage, random, {
        gates: [{ side: 'target', method, act: (at) => at.pool('target').control.advanceClock(ms) }],
        expect: { fails: 'lock-lost' },
        remedy: (at) => at.outwaitLease(),
      }),
  };
}

/** Every call of a later run that changes something, and is not merely about tasks; background calls count with the others. */
function sleepers({ later }: CallsSeen): readonly FaultPoint[] {
  const counts = new Map<string, number>();
  return later
    .filter(({ method }) => !method.startsWith('task.'))
    .map((call) => {
      const method = call.method.replace('Async.', '');
      const nth = (counts.get(`${call.side} ${method}`) ?? 0) + 1;
      counts.set(`${call.side} ${method}`, nth);
      return asleepBefore({ side: call.side, method, nth });
    });
}

function asleepBefore({ side, method, nth }: ChangingCall): FaultPoint {
  return {
    name: `asleep before ${side} ${method} #${String(nth)}`,
    from: 'replica',
    play: async (stage, random) => {
      await stage.write(random);
      let other: Ended | null = null;
      const act = async (): Promise<void> => {
        if (other !== null) return;
        await stage.outwaitLease();
        other = await stage.run();
      };
      const first = await stage.run({ gates: [{ side, method, nth, act }] });
      await judgeBoth(stage, first, other);
      await stage.outwaitLease();
      await recover(stage);
    },
  };
}

async function judgeBoth(stage: Stage, first: Ended, other: Ended | null): Promise<void> {
  if (other === null) throw new Wrong(['the run never came to that call']);
  const outcome = other.report.vms[0]?.outcome;
  if (outcome?.kind !== 'replicated') throw new Wrong([`the run that took over: ${JSON.stringify(outcome)}`]);
  await stage.judge.commitsTrue();
  const slept = first.report.vms[0]?.outcome;
  // One that fell asleep before it had the lock comes after the other, and retention ends the other's snapshot.
  await stage.judge.toldTruth(other.report).catch(async (error: unknown) => {
    if (slept?.kind !== 'replicated') throw error;
    await stage.judge.toldTruth(first.report);
  });
  // It may be past all that counts when it falls asleep: then its point stands, or the other has superseded it.
  const honest = ['replicated', 'failed', 'blocked'];
  if (slept === undefined || !honest.includes(slept.kind))
    throw new Wrong([`the run that slept: ${JSON.stringify(slept)}`]);
}
