/** Pools lose their memory, their coordinator, a host or a path to storage, in the middle of a run. */
import type { FaultPoint, Group } from '../point';
import type { Gate, Side, Stage } from '../stage';
import { strike } from '../strike';
import type { Blow } from '../strike';
import { until } from '../wait';

/** Calls before which it happens: each is another step of a later run. */
const moments: Readonly<Record<Side, readonly (readonly [method: string, nth: number])[]>> = {
  source: [
    ['VM.snapshot', 1],
    ['VM.set_other_config', 1],
    ['openExport', 1],
    ['VDI.set_other_config', 1],
    ['VM.set_other_config', 2],
    ['VDI.destroy', 1],
    ['VM.destroy', 1],
  ],
  target: [
    ['pool.add_to_other_config', 1],
    ['VM.clone', 1],
    ['VDI.set_other_config', 1],
    ['openImport', 1],
    ['VM.add_to_other_config', 1],
    ['VBD.destroy', 1],
    ['VBD.create', 1],
    ['VBD.create', 2],
    ['VM.snapshot', 1],
    ['VM.set_other_config', 2],
    ['VM.remove_from_other_config', 1],
    ['VDI.destroy', 1],
  ],
};

export function poolGroups(): readonly Group[] {
  return [
    {
      title: 'coordinator restarted',
      outcome: 'sessions, tasks and connections are gone: the run logs in again, tries again and replicates',
      points: everyMoment(
        'before',
        (side) => (stage) => stage.pool(side).control.restartCoordinator(),
        'replica',
      ),
    },
    {
      title: 'coordinator restarted in a transfer',
      outcome: 'the transfer is lost, the run tries again and replicates',
      points: (['source', 'target'] as const).map((side) =>
        inTransfer(`the ${side}'s`, (stage) => stage.pool(side).control.restartCoordinator()),
      ),
    },
    {
      title: 'coordinator moved',
      outcome: 'the run follows to the new one and replicates',
      points: [
        ...everyMoment(
          'before',
          (side) => (stage) => stage.pool(side).control.moveCoordinator(`${side}-2`),
          'own',
        ).filter((_, index) => index % 2 === 0),
        ...(['source', 'target'] as const).map((side) =>
          inTransfer(`the ${side}'s, in a transfer`, (stage) =>
            stage.pool(side).control.moveCoordinator(`${side}-2`),
          ),
        ),
      ],
    },
    {
      title: 'session ended by a day of silence',
      outcome:
        'the run logs in again; where the lock has run out as well it stops, and the next run replicates',
      points: [
        ...moments.source.map((moment) =>
          at('source', moment, (stage) => stage.pool('source').control.advanceClock(25 * 3_600_000), {
            expect: 'succeeds',
          }),
        ),
        ...moments.target.slice(1, 5).map((moment) =>
          at('target', moment, (stage) => stage.pool('target').control.advanceClock(25 * 3_600_000), {
            expect: { fails: 'lock-lost|SESSION_INVALID' },
            remedy: (stage) => stage.outwaitLease(),
          }),
        ),
      ],
    },
    {
      title: 'host without the storage',
      outcome: 'another host serves the transfer, or none and the report says so',
      points: plugs(),
    },
  ];
}

function everyMoment(
  word: string,
  act: (side: Side) => Gate['act'],
  from: FaultPoint['from'],
): readonly FaultPoint[] {
  return (['source', 'target'] as const).flatMap((side) =>
    moments[side].map((moment) => ({
      ...at(side, moment, act(side), { expect: 'succeeds' }, word),
      from,
    })),
  );
}

function at(
  side: Side,
  [method, nth]: readonly [string, number],
  act: Gate['act'],
  blow: Blow,
  word = 'before',
): FaultPoint {
  return {
    name: `${side}: ${word} ${method}${nth === 1 ? '' : ` #${String(nth)}`}`,
    from: 'replica',
    play: (stage, random) => strike(stage, random, { gates: [{ side, method, nth, act }], ...blow }),
  };
}

/** Once the first bytes of a disk were sent. */
function inTransfer(name: string, act: (stage: Stage) => Promise<unknown>): FaultPoint {
  return {
    name,
    from: 'own',
    play: (stage, random) => {
      let done = false;
      return strike(stage, random, {
        run: {
          context: {
            emit: ({ kind }) => {
              if (done || kind !== 'disk-progress') return;
              done = true;
              void act(stage);
            },
          },
        },
        expect: 'succeeds',
      });
    },
  };
}

function plugs(): readonly FaultPoint[] {
  const points: FaultPoint[] = [];
  for (const side of ['source', 'target'] as const) {
    const [first, second, sr] = [`${side}-1`, `${side}-2`, `${side}-sr`];
    const unplug = (host: string) => (stage: Stage) => stage.pool(side).control.unplugSr(sr, host);
    const plugBoth = async (stage: Stage): Promise<void> => {
      for (const host of [first, second]) await stage.pool(side).control.plugSr(sr, host);
    };
    const transfer = side === 'source' ? 'openExport' : 'openImport';
    const own = (name: string, blow: Blow): FaultPoint => ({
      name: `${side}: ${name}`,
      from: 'own',
      play: (stage, random) => strike(stage, random, blow),
    });
    points.push(
      own('unplugged at the coordinator before the run', { before: unplug(first), expect: 'at-once' }),
      own('unplugged at a member before the run', { before: unplug(second), expect: 'at-once' }),
      own('unplugged at the coordinator before a transfer', {
        gates: [{ side, method: transfer, act: unplug(first) }],
        expect: 'at-once',
      }),
      own('unplugged while a transfer is on its way to that host', {
        run: {},
        rules: { [side]: [{ match: { method: 'task.create' }, effect: { kind: 'delay', ms: 300 } }] },
        before: (stage) => {
          void whenHit(stage, side).then(() => unplug(first)(stage));
          return Promise.resolve();
        },
        expect: 'succeeds',
      }),
      own('unplugged everywhere before a transfer', {
        gates: [
          {
            side,
            method: transfer,
            act: async (stage) => {
              await unplug(first)(stage);
              await unplug(second)(stage);
            },
          },
        ],
        expect: { fails: 'connection|SR_HAS_NO_PBDS|SR_NOT_ATTACHED' },
        remedy: plugBoth,
      }),
      own('a member that serves the transfer is switched off', {
        before: unplug(first),
        gates: [{ side, method: transfer, act: (stage) => stage.pool(side).control.setHostOffline(second) }],
        expect: { fails: 'connection|SR_HAS_NO_PBDS|HOST_OFFLINE' },
        remedy: async (stage) => {
          await stage.pool(side).control.setHostOffline(second, false);
          await plugBoth(stage);
        },
      }),
    );
  }
  return points;
}

async function whenHit(stage: Stage, side: Side): Promise<void> {
  await until('the delayed call was made', async () =>
    (await stage.pool(side).control.faultCounters()).some(({ hits }) => hits > 0),
  );
}
