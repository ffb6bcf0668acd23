/** Worlds as chance makes them, mostly sound, each with something spoiled now and then; as text, to be read. */
import { keepLatest } from '../../lib/planner/job';
import fc from 'fast-check';
import type { JobDefinition } from '../../lib/planner/job';
import { jobWith } from './literals';

function sometimes(...words: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { arbitrary: fc.constant(''), weight: 5 },
    { arbitrary: fc.constantFrom(...words), weight: 1 },
  );
}

const mostly = fc.oneof(
  { arbitrary: fc.constant(true), weight: 6 },
  { arbitrary: fc.constant(false), weight: 1 },
);

/** Disks of the VM or of a snapshot of it: the same ones most of the time. */
const disks = fc
  .tuple(
    mostly,
    mostly,
    sometimes('2:logs'),
    sometimes('*2', '@nas', '#raw'),
    fc.oneof({ arbitrary: fc.constant('data'), weight: 6 }, { arbitrary: fc.constant('other'), weight: 1 }),
  )
  .map(([root, data, more, flag, name]) =>
    [root ? '0:root' : '', data ? `1:${name}${flag}` : '', more].join(' '),
  );

function snapshot(n: number): fc.Arbitrary<string> {
  return fc
    .tuple(
      disks,
      mostly,
      sometimes('!copied', '!unreadable', '!job', '!sr', '!point', '!replica', '!pair'),
      sometimes('also'),
    )
    .map(([own, marked, spoiled, also]) => {
      const commit = marked ? `=P${String(n)} ${spoiled}` : '';
      return `snapshot S${String(n)} ${own.replace('#raw', '')} ${commit} ${also}`;
    });
}

function point(n: number): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom('0 1', '0 1', '0 1', '0^ 1^', '0', '0 1 2'),
      mostly,
      sometimes('!copied', '!unreadable', '!job', '!sr', '!replica', '!vm', '!gone'),
    )
    .map(
      ([own, marked, spoiled]) => `point P${String(n)} ${own} ${marked ? `~S${String(n)} ${spoiled}` : ''}`,
    );
}

const replica = fc
  .tuple(
    sometimes('Running', 'Suspended', 'importing'),
    fc.constantFrom('0:r0', '0:n0', '0:r0+', ''),
    fc.constantFrom('1:r1', '1:r1', '1:r1?', '1:n1', '1:x'),
  )
  .map((words) => `replica R ${words.join(' ')}`);

const swap = fc
  .tuple(
    fc.constantFrom('0:r0>n0 1:r1>n1', '0:>n0 1:>n1', '0:r0>n0 x1:r1'),
    fc.constantFrom('~S3', '~S4', '~S9'),
    sometimes('gone:n0', 'gone:n1', 'written:n0', 'used:n1', '!copied', '!unreadable', '!job'),
  )
  .map((words) => `swap ${words.join(' ')}`);

/** Stands for the disks that the VM has. */
const same = 'SAME';

/** A run that died in its copy, newer than all snapshots below. */
const interrupted = fc
  .tuple(
    fc.oneof({ arbitrary: fc.constant(same), weight: 4 }, { arbitrary: disks, weight: 1 }),
    fc.constantFrom('on=P4.0', 'on=P4.0', 'on=P4.0', 'on=P3.0', ''),
    fc.constantFrom('done', 'done', 'at=1/1', 'at=1/1', 'at=0/1'),
  )
  .map(([own, base, progress]) =>
    [
      `snapshot S5 ${own.replace('#raw', '')} run`,
      'leftover vm S5 source',
      `leftover disk n5 target 0 ~S5 ${base} ${progress} *1`,
    ].join('; '),
  );

const numbers = [1, 2, 3, 4];
const chance = (line: fc.Arbitrary<string>, weight: number): fc.Arbitrary<string> =>
  fc.oneof({ arbitrary: fc.constant(''), weight: 1 }, { arbitrary: line, weight });

export const lines: fc.Arbitrary<readonly string[]> = fc
  .tuple(
    disks.map((own) => `vm ${own}`),
    chance(replica, 8),
    fc.oneof({ arbitrary: fc.constant(''), weight: 3 }, { arbitrary: swap, weight: 1 }),
    fc.oneof(
      {
        arbitrary: fc.constantFrom('', 'leftover disk junk target *1', 'leftover vm junk source'),
        weight: 2,
      },
      { arbitrary: interrupted, weight: 3 },
    ),
    fc.constantFrom(
      '',
      '',
      'target thick',
      'target thick free=1',
      'target unzeroed',
      'target free=0',
      'target raw',
    ),
    fc.tuple(...numbers.map((n) => chance(snapshot(n), 4))),
    fc.tuple(...numbers.map((n) => chance(point(n), 4))),
  )
  .map(([vm, live, announced, leftover, target, snapshots, points]) =>
    [
      vm,
      live,
      live === '' ? '' : announced,
      leftover.replace(same, vm.replace('vm ', '').replace('#raw', '')),
      target,
      ...snapshots,
      ...points,
    ].filter((line) => line !== ''),
  );

export const jobs: fc.Arbitrary<JobDefinition> = fc
  .record({
    latest: fc.integer({ min: 1, max: 4 }),
    sourceLatest: fc.integer({ min: 1, max: 3 }),
    onMissingBase: fc.constantFrom<'fail' | 'full'>('fail', 'full'),
    onDivergence: fc.constantFrom<'fail' | 'overwrite'>('fail', 'overwrite'),
    mapped: mostly,
  })
  .map(({ latest, sourceLatest, onMissingBase, onDivergence, mapped }) =>
    jobWith({
      retention: keepLatest(latest, sourceLatest),
      onMissingBase,
      onDivergence,
      networkMap: mapped ? { lan: 'dr-lan' } : {},
    }),
  );
