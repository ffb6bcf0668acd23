import { select } from '../../lib/engine/select-vms';
import { encode } from '../../lib/planner/keys';
import { temporaryName } from '../../lib/planner/marks';
import type { VmSelection } from '../../lib/planner/job';
import { jobWith } from '../planner/literals';
import { SmallWorld } from './observe/small-world';

const tagged = { tags: ['gold'] };

/** `name` for a VM that is there, `name!` for one that is not. */
function selected(pool: SmallWorld, selection: Partial<VmSelection>): string {
  const job = jobWith({ selection: { uuids: [], tags: [], ...selection } });
  return select([...pool.world().vms.values()], job)
    .map(({ kind, uuid }) => (kind === 'missing' ? `${uuid}!` : uuid))
    .join(' ');
}

function pool(): SmallWorld {
  return new SmallWorld('sr').vm('db1', { fields: tagged }).vm('db2', { fields: tagged }).vm('web');
}

describe('by uuid', () => {
  test.each([
    ['named', ['web'], 'web'],
    ['in any case', ['WEB'], 'web'],
    ['twice, in two cases, is once', ['WEB', 'web'], 'web'],
    ['not there', ['GONE'], 'gone!'],
    ['ordered by name, whatever the order of the list', ['web', 'db2', 'db1'], 'db1 db2 web'],
    ['nothing', [], ''],
  ])('%s', (_, uuids, expected) => {
    expect(selected(pool(), { uuids })).toBe(expected);
  });

  test('a template may be named; a snapshot or a control domain is no VM to protect', () => {
    const more = pool()
      .vm('tpl', { fields: { is_a_template: true } })
      .vm('dom0', { fields: { is_control_domain: true } });
    more.snapshot('web', 'snap');
    expect(selected(more, { uuids: ['tpl', 'dom0', 'snap'] })).toBe('dom0! snap! tpl');
  });

  test('a replica may be named, to be refused with its reason later', () => {
    const more = pool().config(
      'web',
      encode.replica({ v: 1, self: 'web', job: 'gold', sourceVm: 'vm', sr: 'sr' }),
    );
    expect(selected(more, { uuids: ['web'] })).toBe('web');
  });
});

describe('by tag, resolved at this moment', () => {
  test('every VM that bears one', () => {
    expect(selected(pool(), { tags: ['gold'] })).toBe('db1 db2');
    expect(selected(pool(), { tags: ['gold', 'other'] })).toBe('db1 db2');
    expect(selected(pool(), { tags: ['Gold'] })).toBe('');
  });

  test('and those that are named, each once', () => {
    expect(selected(pool(), { tags: ['gold'], uuids: ['DB1', 'web'] })).toBe('db1 db2 web');
  });

  test.each<[string, (more: SmallWorld) => SmallWorld]>([
    ['a snapshot inherits the tag', (more) => more.snapshot('db1', 'snap')],
    ['a template', (more) => more.vm('tpl', { fields: { ...tagged, is_a_template: true } })],
    ['a control domain', (more) => more.vm('dom0', { fields: { ...tagged, is_control_domain: true } })],
    [
      'the replica of this job',
      (more) =>
        more.vm('R', {
          fields: tagged,
          config: encode.replica({ v: 1, self: 'R', job: 'gold', sourceVm: 'db1', sr: 'sr' }),
        }),
    ],
    [
      'the replica of another job',
      (more) =>
        more.vm('R', {
          fields: tagged,
          config: encode.replica({ v: 1, self: 'R', job: 'silver', sourceVm: 'db1', sr: 'sr' }),
        }),
    ],
    [
      'a replica in the making',
      (more) =>
        more.vm('R', {
          fields: {
            ...tagged,
            name_label: temporaryName(
              { role: 'replica', job: 'gold', sr: 'sr', sourceVm: 'db1', run: 'r' },
              'db1',
            ),
          },
        }),
    ],
    [
      'the shell of staging disks',
      (more) =>
        more.clone(
          'db1',
          'shell',
          temporaryName({ role: 'staging', job: 'gold', sr: 'sr', sourceVm: 'db1', run: 'r' }, 'db1'),
        ),
    ],
  ])('never %s', (_, change) => {
    expect(selected(change(pool()), { tags: ['gold'] })).toBe('db1 db2');
  });

  test('a clone of a replica, made to be used, is a VM like any other: its mark is a copy', () => {
    const more = pool().vm('R', {
      fields: tagged,
      config: encode.replica({ v: 1, self: 'R', job: 'gold', sourceVm: 'db1', sr: 'sr' }),
    });
    expect(selected(more.clone('R', 'production'), { tags: ['gold'] })).toBe('db1 db2 production');
  });
});
