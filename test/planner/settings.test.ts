import fc from 'fast-check';
import { settingsChange, wantedSettings } from '../../lib/planner/settings';
import type { VmSettings } from '../../lib/planner/settings';
import { plainSettings } from './literals';

function changed(actual: Partial<VmSettings>, wanted: Partial<VmSettings>): readonly string[] {
  const { memory, fields } = settingsChange({ ...plainSettings, ...actual }, { ...plainSettings, ...wanted });
  return [...(memory === null ? [] : [`memory ${memory.join(' ')}`]), ...fields.map(({ field }) => field)];
}

describe('what a replica should have', () => {
  test('its source’s settings and the tag of replicas, once', () => {
    expect(wantedSettings(plainSettings).tags).toEqual(['Continuous Replication', 'gold']);
    expect(wantedSettings(wantedSettings(plainSettings))).toEqual(wantedSettings(plainSettings));
  });

  test.each<[string, Partial<VmSettings>, string | undefined]>([
    ['6.5 has no domain type, the guest boots', { HVM_boot_policy: 'BIOS order' }, 'hvm'],
    ['6.5 has no domain type, the kernel is given', { HVM_boot_policy: '' }, 'pv'],
    ['known', { domain_type: 'pv_in_pvh' }, 'pv_in_pvh'],
    ['left to the host', { domain_type: 'unspecified' }, 'unspecified'],
  ])('domain type: %s', (_, source, expected) => {
    expect(wantedSettings({ ...plainSettings, ...source }).domain_type).toBe(expected);
  });
});

describe('what is set', () => {
  test.each<[string, Partial<VmSettings>, Partial<VmSettings>, readonly string[]]>([
    ['nothing where all is as wanted', {}, {}, []],
    ['a field', { name_label: 'old' }, {}, ['name_label']],
    ['all four memory limits in one call', { memory_dynamic_min: 1 }, {}, ['memory 1024 4096 2048 4096']],
    [
      'more VCPUs: first the maximum',
      {},
      { VCPUs_max: 4, VCPUs_at_startup: 4 },
      ['VCPUs_max', 'VCPUs_at_startup'],
    ],
    [
      'fewer VCPUs: the maximum last',
      { VCPUs_max: 4, VCPUs_at_startup: 4 },
      {},
      ['VCPUs_at_startup', 'VCPUs_max'],
    ],
    [
      'the type before the policy, which it sets as well',
      { HVM_boot_policy: '', domain_type: 'pv' },
      { domain_type: 'hvm' },
      ['domain_type', 'HVM_boot_policy'],
    ],
    ['maps by content, not by order', { platform: { a: '1', b: '2' } }, { platform: { b: '2', a: '1' } }, []],
    ['sets by content, not by order', { tags: ['a', 'b'] }, { tags: ['b', 'a'] }, []],
    ['a value in a map', { platform: { a: '1' } }, { platform: { a: '2' } }, ['platform']],
    ['what the source’s release does not know is left alone', { NVRAM: { EFI: 'x' }, order: 3 }, {}, []],
  ])('%s', (_, actual, wanted, expected) => {
    expect(changed(actual, wanted)).toEqual(expected);
  });

  test('VCPUs at start-up never exceed the maximum on the way', () => {
    const vcpus = fc
      .integer({ min: 1, max: 64 })
      .chain((max) =>
        fc.record({ VCPUs_max: fc.constant(max), VCPUs_at_startup: fc.integer({ min: 1, max }) }),
      );
    fc.assert(
      fc.property(vcpus, vcpus, (actual, wanted) => {
        const now: Record<string, number> = { ...actual };
        const { fields } = settingsChange({ ...plainSettings, ...actual }, { ...plainSettings, ...wanted });
        for (const { field, value } of fields) {
          now[field] = Number(value);
          expect(now['VCPUs_at_startup']).toBeLessThanOrEqual(now['VCPUs_max'] ?? 0);
        }
        expect(now).toEqual(wanted);
      }),
    );
  });
});
