import fc from 'fast-check';
import { Database } from '../../../lib/simulator/database/database';
import { parseFilter } from '../../../lib/simulator/database/filter';
import { datamodelOf } from '../../../lib/simulator/datamodel/model';
import { ApiError } from '../../../lib/simulator/errors';
import { Random } from '../../../lib/simulator/random';

const make = (): Database => new Database(datamodelOf('8.3'), new Random('test'));

describe('database', () => {
  it('fills new objects with the defaults of the datamodel', () => {
    const db = make();
    const vm = db.create('VM', { name_label: 'vm' });
    expect(db.row('VM', vm)).toMatchObject({ name_label: 'vm', tags: [], snapshot_of: 'OpaqueRef:NULL' });
  });

  it('keeps the other side of relations, whatever is made, moved and removed', () => {
    const step = fc.record({ vm: fc.nat(2), vbd: fc.nat(4), destroy: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const db = make();
        const vms = [0, 1, 2].map(() => db.create('VM', {}));
        const vbds = [0, 1, 2, 3, 4].map(() => db.create('VBD', {}));
        for (const { vm, vbd, destroy } of steps) {
          const ref = vbds[vbd] ?? '';
          if (destroy) db.destroy('VBD', ref);
          else if (db.exists('VBD', ref)) db.set('VBD', ref, 'VM', vms[vm] ?? '');
        }
        for (const vm of vms) {
          const pointing = vbds.filter((vbd) => db.exists('VBD', vbd) && db.text('VBD', vbd, 'VM') === vm);
          expect([...db.list('VM', vm, 'VBDs')].sort()).toEqual(pointing.sort());
        }
      }),
    );
  });

  it('tells of a change once, of nothing when the value was equal, of nothing when it came and went', () => {
    const db = make();
    const vm = db.create('VM', { name_label: 'a' });
    const since = db.generation;
    const table = db.table('VM');
    const changes = (): readonly string[] =>
      table.changesSince(since, () => true).map((change) => change.operation);
    db.set('VM', vm, 'name_label', 'a');
    expect(changes()).toEqual([]);
    db.set('VM', vm, 'name_label', 'b');
    db.set('VM', vm, 'tags', ['t']);
    expect(changes()).toEqual(['mod']);
    const brief = db.create('VM', {});
    db.destroy('VM', brief);
    expect(changes()).toEqual(['mod']);
    db.destroy('VM', vm);
    expect(changes()).toEqual(['del']);
  });

  it('remembers fewer than 512 deletions of a class: with one more, only the newest 256 of them', () => {
    const db = make();
    const tasks = Array.from({ length: 513 }, () => db.create('task', {}));
    db.create('network', {});
    const since = db.generation;
    const gone = (): readonly string[] =>
      db
        .table('task')
        .changesSince(since, () => true)
        .map(({ ref }) => ref);
    for (const task of tasks.slice(0, 511)) db.destroy('task', task);
    expect(gone()).toEqual(tasks.slice(0, 511));
    db.destroy('task', tasks[511] ?? '');
    expect(gone()).toEqual(tasks.slice(256, 512));
    db.destroy('task', tasks[512] ?? '');
    expect(gone()).toEqual(tasks.slice(256, 513));
    expect(db.table('task').size).toBe(0);
  });

  it('says which class and ref is not there', () => {
    expect(() => make().row('VDI', 'OpaqueRef:x')).toThrow(
      new ApiError('HANDLE_INVALID', 'VDI', 'OpaqueRef:x'),
    );
  });
});

describe('filter', () => {
  const row = { name_label: 'one', is_a_template: false, tags: ['a'], memory_static_max: 5 };
  it.each([
    ['true', true],
    ['field "name__label" = "one"', true],
    ['not field "is_a_template" = "true" and field "memory__static_max" = "5"', true],
    ['(field "name__label" = "two") or (field "_ref" = "ref")', true],
    ['field "tags" = "a"', false],
    ['"a" = "b"', false],
  ])('%s', (expression, expected) => {
    expect(parseFilter(expression)('ref', row)).toBe(expected);
  });

  it.each([
    '',
    'nonsense',
    'field "name__label"',
    'field "a" == "b"',
    '(true',
    'true true',
    "field 'a' = 'b'",
  ])('refuses %s with INVALID_VALUE', (expression) => {
    expect(() => parseFilter(expression)).toThrow('INVALID_VALUE');
  });

  it('knows fields by the names of the database only', () => {
    expect(() => parseFilter('field "name_label" = "one"')('ref', row)).toThrow('missing field name_label');
  });
});
