/** The line between the engine and a pool. */
import { writeThreeBlocks } from '../frames';
import { Wrong } from '../judge';
import type { FaultPoint, Group } from '../point';
import { Relay } from '../relay';
import type { Break } from '../relay';
import { mib } from '../stage';
import type { Side, Stage } from '../stage';
import { strike } from '../strike';
import type { Expectation } from '../strike';
import { withShortOutages, withShortTimings } from '../timings';

const kib = 1024;

/** Data come down from the source and go up to the target. */
const direction: Readonly<Record<Side, Break['direction']>> = { source: 'down', target: 'up' };

export function networkGroups(): readonly Group[] {
  return [
    {
      title: 'line cut',
      outcome:
        'all connections to a pool break at once: the run tries again and replicates; after a long outage the next one does',
      points: (['source', 'target'] as const).flatMap((side) => [
        ...[60 * kib, 1 * mib, 2 * mib + 100].map((afterBytes) =>
          // Early on only questions are asked, and asking again heals that without another attempt.
          broken(
            side,
            `${side}, after ${String(Math.floor(afterBytes / kib))} KiB`,
            { how: 'cut', afterBytes },
            afterBytes < mib ? 'succeeds' : 'heals',
          ),
        ),
        broken(
          side,
          `${side}, for longer than the run tries`,
          { how: 'cut', afterBytes: mib, forGood: true },
          { fails: 'connection' },
          withShortOutages,
        ),
        brokenAtVerdict(side, `${side}, as the verdict on a transfer is waited for`, false),
        brokenAtVerdict(
          side,
          `${side}, as the verdict on a transfer is waited for, for longer than the run tries`,
          true,
        ),
      ]),
    },
    {
      title: 'both lines cut',
      outcome: 'as one line',
      points: [200 * kib, mib].map((afterBytes) => bothBroken(afterBytes)),
    },
    {
      title: 'bit turned over on the line',
      outcome: 'TLS notices: the connection ends, the run tries again and replicates',
      points: (['source', 'target'] as const).flatMap((side) =>
        [100 * kib, 1 * mib + 7, 3 * mib].map((afterBytes) =>
          broken(
            side,
            `${side}, after ${String(Math.round(afterBytes / kib))} KiB`,
            { how: 'flip', afterBytes },
            afterBytes < mib ? 'succeeds' : 'heals',
          ),
        ),
      ),
    },
    {
      title: 'line gone silent',
      outcome: 'a transfer without a byte for the bound is given up; the run tries again and replicates',
      points: (['source', 'target'] as const).map((side) =>
        broken(side, side, { how: 'silence', afterBytes: mib }, 'heals', withShortTimings),
      ),
    },
  ];
}

/** A session that could not be ended, a lock that could not be released: both end by themselves. */
const afterOutage = {
  remedy: (at: Stage) => at.outwaitLease(),
  toleratedAtFirst: [/xenrepl:lock/],
};

/** The bytes have all travelled; what the pool says of them is asked for again until the line is back, within a bound. */
function brokenAtVerdict(side: Side, name: string, forGood: boolean): FaultPoint {
  return {
    name,
    from: 'replica',
    play: async (stage, random) => {
      await using relay = await Relay.open(stage.pool(side), null);
      const method = side === 'source' ? 'finishExport' : 'finishImport';
      await withShortOutages(() =>
        strike(stage, random, {
          ...afterOutage,
          write: writeThreeBlocks,
          gates: [{ side, method, act: () => relay.cut(forGood) }],
          run: { endpoints: { [side]: relay.endpoint } },
          expect: forGood ? { fails: 'connection' } : 'succeeds',
        }),
      );
      if (!relay.broken) throw new Wrong(['the line was never cut']);
    },
  };
}

function broken(
  side: Side,
  name: string,
  fault: Omit<Break, 'direction'>,
  expect: Expectation,
  timed: <T>(play: () => Promise<T>) => Promise<T> = (play) => play(),
): FaultPoint {
  return {
    name,
    from: 'replica',
    play: async (stage, random) => {
      await using relay = await Relay.open(stage.pool(side), { ...fault, direction: direction[side] });
      await timed(() =>
        strike(stage, random, {
          ...afterOutage,
          write: writeThreeBlocks,
          run: { endpoints: { [side]: relay.endpoint } },
          expect,
        }),
      );
      if (!relay.broken) throw new Wrong(['the line was never used so far']);
    },
  };
}

function bothBroken(afterBytes: number): FaultPoint {
  return {
    name: `after ${String(afterBytes / kib)} KiB each`,
    from: 'replica',
    play: async (stage, random) => {
      const cut = (side: Side): Promise<Relay> =>
        Relay.open(stage.pool(side), { how: 'cut', afterBytes, direction: direction[side] });
      await using source = await cut('source');
      await using target = await cut('target');
      await strike(stage, random, {
        write: writeThreeBlocks,
        run: { endpoints: { source: source.endpoint, target: target.endpoint } },
        expect: 'succeeds',
        ...afterOutage,
      });
    },
  };
}
