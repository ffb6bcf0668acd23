import fc from 'fast-check';
import { parseTaskResult, type XmlValue } from '../../lib/xapi/xml-value';

describe('the result of a task', () => {
  it.each<[string, XmlValue]>([
    ['', ''],
    ['OpaqueRef:1', 'OpaqueRef:1'],
    ['<value>OpaqueRef:1</value>', 'OpaqueRef:1'],
    ['<value></value>', ''],
    ['<value/>', ''],
    ['<value><string>a &amp; b &lt;c&gt; &#65;&#x42;</string></value>', 'a & b <c> AB'],
    ['<value><boolean>1</boolean></value>', true],
    ['<value><boolean>0</boolean></value>', false],
    ['<value><i4>-5</i4></value>', -5],
    ['<value><double>0.5</double></value>', 0.5],
    ['<value><array><data></data></array></value>', []],
    ['<value><array><data/></array></value>', []],
    [
      '<value><array><data><value>OpaqueRef:1</value><value>OpaqueRef:2</value></data></array></value>',
      ['OpaqueRef:1', 'OpaqueRef:2'],
    ],
    ['<value><struct><member><name>a</name><value>1</value></member></struct></value>', { a: '1' }],
    ['<value> <array> <data> <value>1</value> </data> </array> </value>', ['1']],
  ])('%s', (text, value) => {
    expect(parseTaskResult(text)).toEqual(value);
  });

  it.each([
    '<value>',
    '<value>a</value><value>b</value>',
    '<value><array></value>',
    '<value><boolean>1</value>',
    '<html>error</html>',
    '<value><struct><name>a</name></struct></value>',
  ])('%s is refused', (text) => {
    expect(() => parseTaskResult(text)).toThrow(SyntaxError);
  });

  it('any text comes back as it was written', () => {
    const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseTaskResult(`<value>${escape(text)}</value>`)).toBe(text);
      }),
    );
  });
});
