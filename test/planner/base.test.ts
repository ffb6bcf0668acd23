import { committedPoints, findBase } from '../../lib/planner/base';
import { observed } from './language';
import { jobWith } from './literals';

/** `found P1 S1`, `unfinished P1`, or why there is none. */
function base(world: string): string {
  const search = findBase(observed(world), jobWith());
  switch (search.kind) {
    case 'found':
      return `found ${search.base.point.uuid} ${search.base.sourceSnapshot.uuid}`;
    case 'unfinished':
      return `unfinished ${search.point.id.uuid}`;
    case 'none':
      return search.reasons.length === 0 ? 'none' : `none: ${search.reasons.join('; ')}`;
  }
}

const because = (reason: string): string => `none: recovery point "P1" (P1): ${reason}`;

describe('a base is valid only if the commit stands on both sides', () => {
  test.each([
    ['both sides committed', 'snapshot S1 0:root =P1; replica R; point P1 0 ~S1', 'found P1 S1'],
    ['nothing yet', 'snapshot S1 0:root', 'none'],
    ['no replica', 'snapshot S1 0:root =P1', 'none'],
    ['point without commit', 'snapshot S1 0:root =P1; replica R; point P1 0', 'none'],
    ['source not yet marked', 'snapshot S1 0:root; replica R; point P1 0 ~S1', 'unfinished P1'],
    [
      'somebody wrote to a disk of the point',
      'snapshot S1 0:root =P1; replica R; point P1 0+ ~S1',
      because('its disk 0 (P1.0) was written to since it was committed'),
    ],
    [
      'somebody wrote to it before the source was marked: it must not be marked any more',
      'snapshot S1 0:root; replica R; point P1 0+ ~S1',
      because('its disk 0 (P1.0) was written to since it was committed'),
    ],
    [
      'the point before it is one',
      'snapshot S1 0:root =P1; snapshot S2 0:root =P2; replica R; point P1 0 ~S1; point P2 0+ ~S2',
      'found P1 S1',
    ],
    [
      'source snapshot gone',
      'snapshot S2 0:root; replica R; point P1 0 ~S1',
      because('its source snapshot is gone'),
    ],
    [
      'a disk of the source snapshot gone',
      'snapshot S1 0:root =P1; replica R; point P1 0 1 ~S1',
      because('disk 1 of its source snapshot is gone'),
    ],
    [
      'a disk gone before the source was marked: it must not be marked any more',
      'snapshot S1 0:root; replica R; point P1 0 1 ~S1',
      because('disk 1 of its source snapshot is gone'),
    ],
    ['a disk of the point gone', 'snapshot S1 0:root 1:data =P1; replica R; point P1 0 ~S1 !gone', 'none'],
  ])('%s', (_, world, expected) => {
    expect(base(world)).toBe(expected);
  });

  test.each([
    ['copied', 'the commit on its source snapshot is a copy of another object’s'],
    ['unreadable', "the source's commit cannot be read: not JSON"],
    ['job', 'its source snapshot was committed for another job or SR'],
    ['sr', 'its source snapshot was committed for another job or SR'],
    ['point', 'its source snapshot was committed for another recovery point'],
    ['replica', 'its source snapshot was committed for another replica'],
    ['pair', 'the commits on both sides disagree about disk 0'],
  ])('source commit spoiled: %s', (how, reason) => {
    expect(base(`snapshot S1 0:root =P1 !${how}; replica R; point P1 0 ~S1`)).toBe(because(reason));
  });

  test.each(['copied', 'unreadable', 'job', 'sr', 'replica', 'vm', 'gone'])(
    'target commit spoiled: %s',
    (how) => {
      expect(base(`snapshot S1 0:root =P1; replica R; point P1 0 ~S1 !${how}`)).toBe('none');
    },
  );

  test('an SR is the same SR however its uuid is spelled', () => {
    expect(base('snapshot S1 0:root =P1; replica R; point P1 0 ~S1 !SR')).toBe('found P1 S1');
  });
});

describe('of several points the newest that is a base counts', () => {
  const both = 'snapshot S1 0:root =P1; snapshot S2 0:root =P2; replica R; point P1 0 ~S1; point P2 0 ~S2';

  test.each([
    ['newest', both, 'found P2 S2'],
    ['in whatever order they are listed', both.split('; ').reverse().join('; '), 'found P2 S2'],
    ['the newest lost its source snapshot', both.replace('snapshot S2 0:root =P2; ', ''), 'found P1 S1'],
    ['the newest is a copy', both.replace('P2 0 ~S2', 'P2 0 ~S2 !copied'), 'found P1 S1'],
    ['the newest is unfinished', both.replace('S2 0:root =P2', 'S2 0:root'), 'unfinished P2'],
    [
      'an older one is unfinished: it is not needed',
      both.replace('S1 0:root =P1', 'S1 0:root'),
      'found P2 S2',
    ],
  ])('%s', (_, world, expected) => {
    expect(base(world)).toBe(expected);
  });

  test('every one that is none says why', () => {
    expect(base('replica R; point P1 0 ~S1; point P2 0 ~S2')).toBe(
      'none: recovery point "P2" (P2): its source snapshot is gone; ' +
        'recovery point "P1" (P1): its source snapshot is gone',
    );
  });
});

test('the base pairs disks by device, each with its partner', () => {
  const world = 'snapshot S1 0:root 3:data =P1; replica R; point P1 3 0 ~S1';
  const search = findBase(observed(world), jobWith());
  expect(search.kind === 'found' ? search.base.disks : search).toMatchObject([
    { device: '3', pointVdi: { uuid: 'P1.3' }, sourceVdi: { uuid: 'S1.3' } },
    { device: '0', pointVdi: { uuid: 'P1.0' }, sourceVdi: { uuid: 'S1.0' } },
  ]);
});

test('committed points are listed newest first, copies left out', () => {
  const { replica } = observed(
    'replica R; point P1 0 ~S1; point P3 0 ~S3; point P2 0 ~S2 !copied; point user 0',
  ).target;
  expect(committedPoints(jobWith(), replica).map(({ point }) => point.id.uuid)).toEqual(['P3', 'P1']);
});
