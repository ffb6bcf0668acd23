import { table } from '../../../lib/cli/output/table';

const columns = [{ title: 'VM', shrinkTo: 6 }, { title: 'KIND' }, { title: 'SENT', align: 'right' }] as const;

const rows = [
  ['db1', 'full', '1.5 GiB'],
  ['customer-database-01', 'delta', '12 B'],
];

test('columns stand below each other, figures to the right', () => {
  expect(table(columns, rows, null)).toEqual([
    'VM                    KIND      SENT',
    'db1                   full   1.5 GiB',
    'customer-database-01  delta     12 B',
  ]);
});

test('on a narrow terminal names are cut, figures never', () => {
  expect(table(columns, rows, 26)).toEqual([
    'VM          KIND      SENT',
    'db1         full   1.5 GiB',
    'custo…e-01  delta     12 B',
  ]);
});

test('a column keeps what it needs to be told apart, even where the line gets too long', () => {
  expect(table(columns, rows, 5)[2]).toBe('cus…01  delta     12 B');
});

test('no line ends in blanks, and wide characters are counted as two columns', () => {
  expect(
    table(
      [{ title: 'VM' }, { title: 'NOTE' }],
      [
        ['数据', ''],
        ['a', 'b'],
      ],
      null,
    ),
  ).toEqual(['VM    NOTE', '数据', 'a     b']);
});

test('a name cannot forge a row', () => {
  expect(table([{ title: 'VM' }], [['a\nb']], null)).toEqual(['VM', 'a\ufffdb']);
});
