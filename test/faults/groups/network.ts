/** The line between the engine and a pool. */
import { writeThreeBlocks } from '../frames';
import { Wrong } from '../judge';
import type { FaultPoint, Group } from '../point';
import { Relay } from '../relay';
import type { Break } from '../relay';
import { mib } from '../stage';
import type { Side } from '../stage';
import { strike } from '../strike';
import type { Expectation } from '../strike';
import { withShortTimings } from '../timings';

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
          {
            fails: 'connection',
          },
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
        broken(side, side, { how: 'silence', afterBytes: mib }, 'heals', true),
      ),
    },
  ];
}

function broken(
  side: Side,
  name: string,
  fault: Omit<Break, 'direction'>,
  expect: Expectation,
  short = false,
): FaultPoint {
  return {
    name,
    from: 'replica',
    play: async (stage, random) => {
      await using relay = await Relay.open(stage.pool(side), { ...fault, direction: direction[side] });
      const played = (): ReturnType<typeof strike> =>
        strike(stage, random, {
          write: writeThreeBlocks,
          run: { endpoints: { [side]: relay.endpoint } },
          expect,
          // A session that could not be ended, a lock that could not be released: both end by themselves.
          remedy: (at) => at.outwaitLease(),
          toleratedAtFirst: [/xenrepl:lock/],
        });
      await (short ? withShortTimings(played) : played());
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
        remedy: (at) => at.outwaitLease(),
        toleratedAtFirst: [/xenrepl:lock/],
      });
    },
  };
}
