import { encode as msgpack } from '@msgpack/msgpack';
import fc from 'fast-check';
import { Dynamic, UNKNOWN } from '../../../lib/provider/framework';
import type { Type, Value } from '../../../lib/provider/framework';
import { decodeValue, encodeValue } from '../../../lib/provider/protocol/dynamic-value';

const none = new Uint8Array();
const wire = (bytes: Uint8Array) => ({ msgpack: bytes, json: none });
const json = (value: unknown) => ({ msgpack: none, json: Buffer.from(JSON.stringify(value)) });

/** Bytes as Terraform writes them: extension 0 is an unknown value, extension 12 one of which more is known. */
const golden: readonly (readonly [string, string, Type, Value])[] = [
  ['null', 'c0', 'string', null],
  ['an unknown text', 'd40000', 'string', UNKNOWN],
  ['an unknown text that is not null', 'c7030c8101c2', 'string', UNKNOWN],
  ['a text', 'a16a', 'string', 'j'],
  ['a whole number', '05', 'number', 5],
  ['a fraction', 'cb3ff8000000000000', 'number', 1.5],
  ['a number beyond 64 bits, as text', 'b43130303030303030303030303030303030303030', 'number', 1e19],
  ['a list with an unknown item', '92a16ad40000', ['list', 'string'], ['j', UNKNOWN]],
  ['an unknown list', 'd40000', ['list', 'string'], UNKNOWN],
  ['a map', '81a16ba176', ['map', 'string'], { k: 'v' }],
  ['an object', '82a161c3a162c0', ['object', { a: 'bool', b: 'string' }], { a: true, b: null }],
  ['a dynamic value', '92c40622626f6f6c22c3', 'dynamic', new Dynamic('bool', true)],
];

test.each(golden)('decodes %s', (_title, hex, type, expected) => {
  const bytes = Buffer.from(hex, 'hex');
  expect(decodeValue(wire(bytes), type)).toEqual(expected);
});

test.each(golden.filter(([title]) => !/not null|beyond/.test(title)))(
  'encodes %s',
  (_title, hex, type, value) => {
    expect(Buffer.from(encodeValue(value, type).msgpack).toString('hex')).toBe(hex);
  },
);

test('an absent value is null', () => {
  expect(decodeValue(undefined, 'string')).toBeNull();
  expect(decodeValue(wire(none), 'string')).toBeNull();
});

test('JSON is read where there is no MessagePack', () => {
  const type: Type = ['object', { a: 'number', b: 'dynamic', c: 'string' }];
  expect(decodeValue(json({ a: 1, b: { type: 'string', value: 'x' } }), type)).toEqual({
    a: 1,
    b: new Dynamic('string', 'x'),
    c: null,
  });
});

test('an object carries every attribute of its type and no other', () => {
  const type: Type = ['object', { a: 'string', b: 'string' }];
  expect(decodeValue(wire(msgpack({ a: 'x', gone: { deep: [1] } })), type)).toEqual({ a: 'x', b: null });
  expect(decodeValue(encodeValue({ a: 'x' }, type), type)).toEqual({ a: 'x', b: null });
});

test('what every object of JavaScript inherits is neither an attribute nor a value', () => {
  const type: Type = [
    'object',
    Object.fromEntries([
      ['constructor', 'string'],
      ['a', 'string'],
    ] as const),
  ];
  expect(decodeValue(wire(msgpack({ a: 'x', toString: 'y' })), type)).toEqual(
    own([
      ['constructor', null],
      ['a', 'x'],
    ]),
  );
  expect(decodeValue(wire(msgpack({ constructor: [[1]] })), ['object', {}])).toEqual({});
});

test('a key __proto__ is refused by its name, wherever it stands', () => {
  const bytes = encodeValue(own([['__proto__', 'x']]), ['map', 'string']);
  expect(() => decodeValue(bytes, ['map', 'string'])).toThrow('__proto__');
  expect(() => decodeValue(wire(msgpack([own([['__proto__', 'x']])])), ['list', ['object', {}]])).toThrow(
    '__proto__',
  );
});

test.each<readonly [string, unknown, Type]>([
  ['value is not a string', 5, 'string'],
  ['value is not a number', 'five', 'number'],
  ['value.a is not a bool', { a: 'yes' }, ['object', { a: 'bool' }]],
  ['value[1] is not a string', ['a', false], ['list', 'string']],
  ['value is not a list', 'a', ['set', 'string']],
  ['value is not an object', [], ['map', 'string']],
])('says where a value does not fit: %s', (message, value, type) => {
  expect(() => decodeValue(wire(msgpack(value)), type)).toThrow(message);
});

test('what was encoded decodes to the same, unknown values at any depth', () => {
  fc.assert(
    fc.property(typedValue(), ({ type, value }) => {
      expect(decodeValue(encodeValue(value, type), type)).toEqual(value);
    }),
  );
});

interface Typed {
  readonly type: Type;
  readonly value: Value;
}

/** A type and a value of it. Lists and maps hold one known value or unknowns, so that all items have one type. */
function typedValue(): fc.Arbitrary<Typed> {
  const inherited = fc.constantFrom('constructor', 'toString', 'valueOf');
  const names = fc.uniqueArray(fc.oneof(fc.stringMatching(/^[a-z_]{1,8}$/), inherited), { maxLength: 4 });
  const key = fc.oneof(fc.string(), inherited).filter((name) => name !== '__proto__');
  return fc.letrec<{ any: Typed; scalar: Typed }>((tie) => ({
    scalar: fc.oneof(
      fc.string().map((value) => ({ type: 'string', value }) as const),
      fc.boolean().map((value) => ({ type: 'bool', value }) as const),
      fc.integer().map((value) => ({ type: 'number', value }) as const),
      fc.maxSafeInteger().map((value) => ({ type: 'number', value }) as const),
      fc
        .double({ noNaN: true })
        .map((value) => ({ type: 'number', value: value === 0 ? 0 : value }) as const),
      fc.constantFrom<Typed>({ type: 'string', value: null }, { type: ['map', 'number'], value: UNKNOWN }),
    ),
    any: fc.oneof(
      { maxDepth: 3 },
      tie('scalar'),
      fc.tuple(tie('any'), fc.integer({ min: 0, max: 3 })).map(([{ type, value }, unknowns]): Typed => ({
        type: ['list', type],
        value: [value, ...Array<Value>(unknowns).fill(UNKNOWN)],
      })),
      fc
        .tuple(tie('any'), key)
        .map(([{ type, value }, key]): Typed => ({ type: ['map', type], value: own([[key, value]]) })),
      fc.tuple(names, fc.array(tie('any'), { minLength: 4, maxLength: 4 })).map(([keys, members]): Typed => {
        const pairs = keys.map(
          (key, index) => [key, members[index] ?? { type: 'string', value: null }] as const,
        );
        return {
          type: ['object', Object.fromEntries(pairs.map(([key, { type }]) => [key, type]))],
          value: own(pairs.map(([key, { value }]) => [key, value])),
        };
      }),
    ),
  })).any;
}

/** An object of these members alone, whatever their names: a literal would set its prototype. */
function own(entries: readonly (readonly [string, Value])[]): Value {
  return Object.fromEntries(entries);
}
