import { normalise } from '../../lib/xapi/normalise';

describe('answers have one shape whatever the transport', () => {
  it.each([
    ['VM', 'memory_static_max', '4294967296', 4294967296],
    ['VM', 'HVM_shadow_multiplier', 1.5, 1.5],
    ['VDI', 'virtual_size', '2199023255552', 2199023255552],
    ['VDI', 'virtual_size', 4096, 4096],
    ['VIF', 'MTU', '1500', 1500],
    ['SR', 'physical_size', '-1', -1],
    ['host', 'API_version_major', '2', 2],
    ['task', 'progress', '0', 0],
    ['VM', 'name_label', '12345', '12345'],
    ['VBD', 'userdevice', '0', '0'],
    ['VDI', 'snapshot_time', new Date(0), '19700101T00:00:00Z'],
    ['unlisted', 'field', '5', '5'],
  ])('%s.%s: %j', (className, field, wire, value) => {
    expect(normalise(`${className}.get_record`, { [field]: wire })).toEqual({ [field]: value });
    const all = normalise(`${className}.get_all_records`, { ref: { [field]: wire } });
    expect(all).toEqual({ ref: { [field]: value } });
  });

  it('records by expression are treated like all records', () => {
    expect(normalise('VDI.get_all_records_where', { ref: { virtual_size: '5' } })).toEqual({
      ref: { virtual_size: 5 },
    });
  });

  it('a single date is text again', () => {
    expect(normalise('host.get_servertime', new Date(0))).toBe('19700101T00:00:00Z');
  });

  it('what else is answered stays as it is', () => {
    expect(normalise('VM.get_by_name_label', ['OpaqueRef:1'])).toEqual(['OpaqueRef:1']);
    expect(normalise('VM.destroy', '')).toBe('');
  });
});
