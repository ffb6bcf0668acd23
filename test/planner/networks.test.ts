import { planCards } from '../../lib/planner/networks';
import type { JobDefinition } from '../../lib/planner/job';
import type { ObjectId } from '../../lib/planner/observation';
import { jobWith } from './literals';

/** `lan=U1` is a network named lan with uuid U1. */
function network(text: string): ObjectId {
  const [name = '', uuid = name] = text.split('=');
  return { ref: `ref:${uuid}`, uuid, name };
}

interface Case {
  readonly cards: string;
  readonly map?: Readonly<Record<string, string>>;
  readonly source?: string;
  readonly target: string;
  readonly policy?: JobDefinition['onUnmappedNetwork'];
}

/** `0:U9 1:U8` says on which target network each card is put, followed by conflicts and their objects. */
function planned({ cards, map = {}, source = cards, target, policy = 'fail' }: Case): string {
  const list = (text: string): readonly ObjectId[] => text.split(' ').filter(Boolean).map(network);
  const onCards = list(cards).map((net, index) => ({
    device: String(index),
    network: net,
    mac: 'aa',
    mtu: 1500,
  }));
  const job = jobWith({ networkMap: map, onUnmappedNetwork: policy });
  const plan = planCards(job, onCards, list(source), list(target));
  return [
    ...plan.cards.map((card) => `${card.device}:${card.network.uuid}`),
    ...plan.conflicts.map((conflict) => {
      if (conflict.kind === 'network-unknown') return `${conflict.kind}(${conflict.wanted.join(' ')})`;
      return 'networks' in conflict
        ? `${conflict.kind}(${conflict.networks.map(({ uuid }) => uuid).join(' ')})`
        : conflict.kind;
    }),
    ...plan.notes,
  ].join(' ');
}

describe('each card goes where the map says', () => {
  test.each<[string, Case, string]>([
    ['by names', { cards: 'lan=A', map: { lan: 'dr' }, target: 'dr=X' }, '0:X'],
    ['by uuids', { cards: 'lan=A', map: { A: 'X' }, target: 'dr=X' }, '0:X'],
    ['by uuids in any case', { cards: 'lan=ab', map: { AB: 'x' }, target: 'dr=X' }, '0:X'],
    ['a uuid goes before a name', { cards: 'lan=A', map: { lan: 'Y', A: 'X' }, target: 'dr=X dr2=Y' }, '0:X'],
    [
      'a target uuid goes before a name that looks like it',
      { cards: 'lan=A', map: { lan: 'X' }, target: 'X=Y dr=X' },
      '0:X',
    ],
    [
      'several cards',
      { cards: 'lan=A dmz=B', map: { lan: 'dr', dmz: 'dr2' }, target: 'dr=X dr2=Y' },
      '0:X 1:Y',
    ],
    [
      'two cards on one network',
      { cards: 'lan=A lan=A', map: { lan: 'dr' }, source: 'lan=A', target: 'dr=X' },
      '0:X 1:X',
    ],
    ['no cards', { cards: '', target: 'dr=X' }, ''],
    ['within one pool a network is itself', { cards: 'lan=A', target: 'lan=A' }, '0:A'],
    [
      'unless the map says otherwise',
      { cards: 'lan=A', map: { lan: 'test' }, target: 'lan=A test=B' },
      '0:B',
    ],
  ])('%s', (_, given, expected) => {
    expect(planned(given)).toBe(expected);
  });
});

describe('nothing is guessed', () => {
  test.each<[string, Case, string]>([
    ['not in the map', { cards: 'lan=A', target: 'dr=X' }, 'network-unmapped(A)'],
    [
      'same name on the target is not the same network',
      { cards: 'lan=A', target: 'lan=X' },
      'network-unmapped(A)',
    ],
    [
      'target has no such network',
      { cards: 'lan=A', map: { lan: 'dr9' }, target: 'dr=X' },
      'network-unknown(dr9)',
    ],
    [
      'target has the name twice',
      { cards: 'lan=A', map: { lan: 'dr' }, target: 'dr=X dr=Y' },
      'network-unknown(dr)',
    ],
    [
      'source has the name twice',
      { cards: 'lan=A', map: { lan: 'dr' }, source: 'lan=A lan=B', target: 'dr=X' },
      'network-ambiguous(A)',
    ],
    [
      'which a uuid settles',
      { cards: 'lan=A', map: { lan: 'dr', A: 'dr' }, source: 'lan=A lan=B', target: 'dr=X' },
      '0:X',
    ],
    ['a name that every object has', { cards: 'constructor=A', target: 'dr=X' }, 'network-unmapped(A)'],
    ['or this one', { cards: '__proto__=A', target: 'dr=X' }, 'network-unmapped(A)'],
    [
      'all that is wrong at once',
      { cards: 'a=A b=B c=C', map: { b: 'no' }, target: 'dr=X' },
      'network-unmapped(A C) network-unknown(no)',
    ],
  ])('%s', (_, given, expected) => {
    expect(planned(given)).toBe(expected);
  });
});

test('cards on unmapped networks are left out where the job says so, and that is noted', () => {
  const given: Case = { cards: 'lan=A dmz=B', map: { lan: 'dr' }, target: 'dr=X', policy: 'omit' };
  expect(planned(given)).toBe('0:X network card on "dmz" (B) left out: the job maps it nowhere');
});

test('a mapping that is wrong is a conflict even where unmapped cards are left out', () => {
  expect(planned({ cards: 'lan=A', map: { lan: 'no' }, target: 'dr=X', policy: 'omit' })).toBe(
    'network-unknown(no)',
  );
});
