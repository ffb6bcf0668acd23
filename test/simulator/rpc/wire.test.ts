import fc from 'fast-check';
import { datamodelOf } from '../../../lib/simulator/datamodel/model';
import type { Type } from '../../../lib/simulator/datamodel/types';
import { JsonError, readJson } from '../../../lib/simulator/rpc/json-read';
import { jsonWriter, marshal, xmlWriter } from '../../../lib/simulator/rpc/marshal';
import { unmarshal, type Value } from '../../../lib/simulator/rpc/unmarshal';
import { showRpc } from '../../../lib/simulator/rpc/value';
import { XmlError, readMethodCall, readXmlValue } from '../../../lib/simulator/rpc/xml-read';

const model = datamodelOf('8.3');
const string: Type = { kind: 'string' };
const record: Type = { kind: 'map', key: string, value: { kind: 'set', of: string } };

/** Text that both forms can carry: no control characters, no halves of surrogate pairs. */
const cleanText = fc
  .string({ unit: 'grapheme' })
  .filter((text) => /^[^\p{Cc}\p{Cs}\ufffe\uffff]*$/u.test(text));
const value = fc.dictionary(
  cleanText.filter((key) => key !== '__proto__'),
  fc.array(cleanText),
  { noNullPrototype: true },
);

describe('values on the wire', () => {
  it('come back from JSON as they went', () => {
    fc.assert(
      fc.property(value, (sent: Value) => {
        expect(unmarshal(readJson(marshal(sent, record, jsonWriter, model)), record)).toEqual(sent);
      }),
    );
  });

  it('come back from XML as they went', () => {
    fc.assert(
      fc.property(value, (sent: Value) => {
        expect(unmarshal(readXmlValue(marshal(sent, record, xmlWriter, model)), record)).toEqual(sent);
      }),
    );
  });

  it('reads whatever JSON.stringify writes, save integers of more than 64 bits', () => {
    fc.assert(
      fc.property(
        fc.json().filter((text) => !/\d{18}/.test(text)),
        (text) => {
          expect(() => readJson(text)).not.toThrow();
        },
      ),
    );
  });

  it.each([
    ['int', '7', 7],
    ['int', '"0x10"', 16],
    ['int', '-9007199254740991', -9007199254740991],
    ['float', '2', 2],
    ['float', '"1.25"', 1.25],
    ['datetime', '"2024-01-31T13:20:11.5Z"', '20240131T13:20:11Z'],
  ] as const)('takes as %s: %s', (kind, text, read) => {
    expect(unmarshal(readJson(text), { kind })).toBe(read);
  });

  it.each([
    ['int', '1.0', 'Failure("Expected int64, got \'F(1)\'")'],
    ['int', '" 5 "', 'Failure("Int64.of_string")'],
    ['int', '9007199254740993', 'up to 2^53'],
    ['bool', '1', 'Failure("Expected bool, got \'I(1)\'")'],
    ['string', 'null', 'Failure("Expected string, got \'N\'")'],
    ['datetime', '"yesterday"', 'Clock__Date.of_iso8601: yesterday'],
  ] as const)('refuses as %s: %s', (kind, text, words) => {
    expect(() => unmarshal(readJson(text), { kind })).toThrow(words);
  });

  it('shows values in errors as the real server does', () => {
    expect(showRpc(readJson('{"a":["b",1,2.5,true,null]}'))).toBe('{a:[S(b);I(1);F(2.5);B(true);N]}');
  });
});

describe('floats', () => {
  it('always have a point in JSON, and none they do not need in XML', () => {
    const float: Type = { kind: 'float' };
    expect(marshal(1, float, jsonWriter, model)).toBe('1.0');
    expect(marshal(1, float, xmlWriter, model)).toBe('<value><double>1</double></value>');
    expect(marshal(0.5, float, jsonWriter, model)).toBe('0.5');
  });
});

describe('broken bodies', () => {
  it.each(['', '{', '[1,]', '{"a" 1}', '"a', '"\\ud800"', 'nul', '1 2', '12345678901234567890'])(
    '%s is no JSON',
    (text) => {
      expect(() => readJson(text)).toThrow(JsonError);
    },
  );

  it.each([
    '',
    'text',
    '<methodCall/>',
    '<methodCall><methodName>a</methodName></methodCall>',
    '<methodCall><methodName>a</b></methodCall>',
    '<methodCall><methodName>a</methodName><params><param><value><int>x</int></value></param></params></methodCall>',
    '<methodCall><methodName>&nothing;</methodName><params/></methodCall>',
  ])('%s is no XML-RPC call', (text) => {
    expect(() => readMethodCall(text)).toThrow(XmlError);
  });

  it('never throws anything but its own error on arbitrary text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const errorOf = (read: (text: string) => unknown): unknown => {
          try {
            return read(text) === undefined ? null : null;
          } catch (error) {
            return error;
          }
        };
        for (const [read, own] of [
          [readJson, JsonError],
          [readMethodCall, XmlError],
        ] as const) {
          const error = errorOf(read);
          expect(error === null || error instanceof own).toBe(true);
        }
      }),
    );
  });
});
