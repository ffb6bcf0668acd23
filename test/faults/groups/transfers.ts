/** Transfers break on their way, while the engine lives. */
import type { FaultEffect, FaultRule } from '../../../lib/simulator';
import { diskName, downloadPlaces, uploadPlaces, writeThreeBlocks } from '../frames';
import type { Place } from '../frames';
import type { FaultPoint, Group, Start } from '../point';
import { mib } from '../stage';
import { strike } from '../strike';
import type { Expectation } from '../strike';

type Transfer = 'import' | 'export';

const words: Readonly<Record<Transfer, string>> = { import: 'upload', export: 'download' };

export function transferGroups(): readonly Group[] {
  return [
    {
      title: 'connection cut',
      outcome: 'the run tries again by itself and replicates',
      points: [
        ...uploadPlaces.map((place) => cut(['import'], place, 'replica')),
        ...uploadPlaces.filter((_, index) => index % 3 === 1).map((place) => cut(['import'], place, 'empty')),
        ...downloadPlaces.map((place) => cut(['export'], place, 'replica')),
        ...downloadPlaces
          .filter((_, index) => index % 3 === 1)
          .map((place) => cut(['export'], place, 'empty')),
        ...[0, 1, mib, 2 * mib].map((afterBytes) =>
          cut(
            ['import', 'export'],
            { name: `after ${String(afterBytes)} bytes each`, afterBytes },
            'replica',
          ),
        ),
      ],
    },
    {
      title: 'failure behind the 200',
      outcome: 'the run tries again by itself and replicates; the bytes of the failed transfer never count',
      points: [
        ...both((transfer, from) =>
          one(`${words[transfer]}: the task fails after the last byte`, transfer, from, {
            kind: 'late-failure',
          }),
        ),
        ...both((transfer, from) =>
          one(`${words[transfer]}: the task fails before the first byte`, transfer, from, {
            kind: 'error',
            code: 'VDI_IO_ERROR',
            params: ['Device I/O errors'],
          }),
        ),
        ...downloadPlaces.map(({ name, afterBytes }) =>
          one(`download: an error page ${name}`, 'export', 'replica', { kind: 'error-page', afterBytes }),
        ),
        ...uploadPlaces
          .filter((_, index) => index % 4 === 2)
          .map(({ name, afterBytes }) =>
            one(`upload: an error page ${name}`, 'import', 'replica', { kind: 'error-page', afterBytes }),
          ),
      ],
    },
  ];
}

function both(make: (transfer: Transfer, from: Start) => FaultPoint): readonly FaultPoint[] {
  return (['import', 'export'] as const).flatMap((transfer) =>
    (['replica', 'empty'] as const).map((from) => make(transfer, from)),
  );
}

function startOf(from: Start): string {
  return from === 'empty' ? ', full' : '';
}

function cut(transfers: readonly Transfer[], { name, ...place }: Place, from: Start): FaultPoint {
  const { afterBytes, skip = 0 } = place;
  const rules = transfers.map((transfer): FaultRule => ({
    match: { transfer, object: diskName },
    skip,
    effect: { kind: 'cut', afterBytes },
  }));
  const title = transfers.map((transfer) => words[transfer]).join(' and ');
  // The server fills a terminator that lacks a byte up with what stood there: everything had arrived.
  const whole = name.includes('11 bytes of the terminator');
  return rule(`${title} ${name}${startOf(from)}`, rules, from, whole ? 'succeeds' : 'heals');
}

function one(
  name: string,
  transfer: Transfer,
  from: Start,
  effect: FaultEffect,
  expect: Expectation = 'heals',
): FaultPoint {
  return rule(`${name}${startOf(from)}`, [{ match: { transfer, object: diskName }, effect }], from, expect);
}

function rule(name: string, rules: readonly FaultRule[], from: Start, expect: Expectation): FaultPoint {
  return {
    name,
    from,
    play: (stage, random) =>
      strike(stage, random, {
        write: writeThreeBlocks,
        rules: {
          source: rules.filter(({ match }) => match.transfer === 'export'),
          target: rules.filter(({ match }) => match.transfer === 'import'),
        },
        expect,
      }),
  };
}
