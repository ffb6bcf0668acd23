import fc from 'fast-check';
import { counted, padded, printable, truncated, widthOf } from '../../../lib/cli/output/text';

describe('printable', () => {
  it('lets names of all scripts through', () => {
    for (const name of ['db1', 'größe', 'база', '数据库', '👩‍💻 dev', 'a\u200db']) {
      expect(printable(name)).toBe(name);
    }
  });

  it('takes away what would drive the terminal or forge a line of a log', () => {
    expect(printable('\u001b[2Jdb1')).toBe('\ufffd[2Jdb1');
    expect(printable('db1\nerror: all is lost')).toBe('db1\ufffderror: all is lost');
    expect(printable('\u009b31m')).toBe('\ufffd31m');
    expect(printable('a\u202etxt.exe')).toBe('a\ufffdtxt.exe');
    expect(printable('a\u2028b\u007f')).toBe('a\ufffdb\ufffd');
  });
});

test('width counts columns, not code units', () => {
  expect(widthOf('db1')).toBe(3);
  expect(widthOf('größe')).toBe(5);
  expect(widthOf('e\u0301')).toBe(1);
  expect(widthOf('数据')).toBe(4);
  expect(widthOf('👩‍💻')).toBe(2);
});

describe('truncated', () => {
  it('leaves what fits', () => expect(truncated('customer-01', 11)).toBe('customer-01'));

  it('cuts in the middle, since names differ at their ends', () => {
    expect(truncated('customer-database-01', 11)).toBe('custo…se-01');
    expect(truncated('customer-database-02', 11)).toBe('custo…se-02');
  });

  it('never splits a character', () => {
    expect(truncated('数据库数据库', 5)).toBe('数…库');
    expect(truncated('👩‍💻👩‍💻👩‍💻', 5)).toBe('👩‍💻…👩‍💻');
  });

  it('never becomes wider than asked for', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat({ max: 40 }), (text, width) => {
        expect(widthOf(truncated(text, width))).toBeLessThanOrEqual(width);
      }),
    );
  });
});

test('padding fills by columns', () => {
  expect(padded('数', 4, 'left')).toBe('数  ');
  expect(padded('7', 3, 'right')).toBe('  7');
  expect(padded('wide', 2, 'left')).toBe('wide');
});

test('one disk, two disks', () => {
  expect([0, 1, 2].map((count) => counted(count, 'disk'))).toEqual(['0 disks', '1 disk', '2 disks']);
});
