import { UNKNOWN } from '../../../lib/provider/framework';
import type { Attributes, ValueObject } from '../../../lib/provider/framework';
import { planValues, replacedAttributes } from '../../../lib/provider/framework/plan-values';

const lowerCase = (left: unknown, right: unknown) =>
  String(left).toLowerCase() === String(right).toLowerCase();

const attributes: Attributes = {
  name: { type: 'string', required: true, description: '' },
  size: { type: 'number', optional: true, computed: true, default: 3, description: '' },
  uuid: { type: 'string', optional: true, sameAs: lowerCase, description: '' },
  secret: { type: 'string', optional: true, writeOnly: true, description: '' },
  place: { type: 'string', optional: true, requiresReplace: true, description: '' },
  id: { type: 'string', computed: true, description: '' },
  when: {
    type: {
      nesting: 'single',
      attributes: {
        at: { type: 'string', required: true, description: '' },
        zone: { type: 'string', optional: true, computed: true, default: 'UTC', description: '' },
      },
    },
    optional: true,
    description: '',
  },
  disks: {
    type: {
      nesting: 'list',
      attributes: {
        device: { type: 'string', required: true, description: '' },
        uuid: { type: 'string', computed: true, description: '' },
      },
    },
    optional: true,
    description: '',
  },
};

const empty: ValueObject = Object.fromEntries(Object.keys(attributes).map((name) => [name, null]));
const prior: ValueObject = { ...empty, name: 'a', size: 3, uuid: 'AB', id: '1' };

const cases: readonly {
  readonly title: string;
  readonly config: ValueObject;
  readonly prior?: ValueObject;
  readonly expected: ValueObject;
}[] = [
  {
    title: 'creation: what only the provider knows is unknown',
    config: { name: 'a' },
    expected: { id: UNKNOWN },
  },
  { title: 'creation: a default is written into the plan', config: { name: 'a' }, expected: { size: 3 } },
  { title: 'creation: what is optional and absent is null', config: { name: 'a' }, expected: { uuid: null } },
  {
    title: 'configured values are planned as they are',
    config: { name: 'a', size: 7 },
    expected: { size: 7 },
  },
  { title: 'an unknown argument stays unknown', config: { name: UNKNOWN }, expected: { name: UNKNOWN } },
  {
    title: 'an unknown argument does not fall back to its default',
    config: { name: 'a', size: UNKNOWN },
    expected: { size: UNKNOWN },
  },
  {
    title: 'update: computed values are kept',
    config: { name: 'b' },
    prior,
    expected: { id: '1', name: 'b' },
  },
  {
    title: 'update: a removed argument falls back',
    config: { name: 'a' },
    prior: { ...prior, size: 9 },
    expected: { size: 3 },
  },
  {
    title: 'update: another spelling of the same keeps the state',
    config: { name: 'a', uuid: 'ab' },
    prior,
    expected: { uuid: 'AB' },
  },
  {
    title: 'update: another value is taken',
    config: { name: 'a', uuid: 'cd' },
    prior,
    expected: { uuid: 'cd' },
  },
  {
    title: 'write-only arguments never reach the plan',
    config: { name: 'a', secret: 's' },
    expected: { secret: null },
  },
  {
    title: 'defaults inside nested attributes',
    config: { name: 'a', when: { at: '1', zone: null } },
    expected: { when: { at: '1', zone: 'UTC' } },
  },
  {
    title: 'a whole nested attribute may be unknown',
    config: { name: 'a', when: UNKNOWN },
    expected: { when: UNKNOWN },
  },
  {
    title: 'a nested attribute that is absent is null',
    config: { name: 'a' },
    prior: { ...prior, when: { at: '1', zone: 'UTC' } },
    expected: { when: null },
  },
  {
    title: 'items of a nested list keep what was computed, new ones do not know it yet',
    config: {
      name: 'a',
      disks: [
        { device: '0', uuid: null },
        { device: '1', uuid: null },
      ],
    },
    prior: { ...prior, disks: [{ device: '0', uuid: 'x' }] },
    expected: {
      disks: [
        { device: '0', uuid: 'x' },
        { device: '1', uuid: UNKNOWN },
      ],
    },
  },
];

test.each(cases)('$title', ({ config, prior: before, expected }) => {
  const planned = planValues(attributes, { ...empty, ...config }, before ?? null);
  expect(planned).toMatchObject(expected);
});

test('planning its own result changes nothing', () => {
  const config = { ...empty, name: 'a', when: { at: '1', zone: null } };
  const applied = { ...planValues(attributes, config, null), id: '1' };
  expect(planValues(attributes, config, applied)).toEqual(applied);
});

test.each([
  ['another value', { place: 'there' }, { place: 'here' }, [['place']]],
  ['a value not known yet', { place: UNKNOWN }, { place: 'here' }, [['place']]],
  ['the same value', { place: 'here' }, { place: 'here' }, []],
  ['another attribute', { name: 'b', place: null }, { name: 'a', place: null }, []],
] as const)('replacement: %s', (_title, planned, before, expected) => {
  expect(replacedAttributes(attributes, planned, before)).toEqual(expected);
});
