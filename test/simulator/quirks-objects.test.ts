import { failureOf, MIB, NULL, PoolUnderTest, text, vmRecord, type Record } from './pool-under-test';

let pool: PoolUnderTest;
beforeAll(async () => {
  pool = await PoolUnderTest.start();
});
afterAll(() => pool.close());

async function vmWithDisk(name: string): Promise<{ vm: string; vdi: string; vbd: string }> {
  const vm = await pool.createVm({ name_label: name });
  const vdi = await pool.createVdi({ name_label: name });
  const vbd = await pool.createVbd(vm, vdi);
  return { vm, vdi, vbd };
}

describe('VMs and snapshots', () => {
  it('quirk 26: a snapshot is a template too, keeps its MACs, and its disks count as in use by records only', async () => {
    const { vm, vdi } = await vmWithDisk('q26');
    const [network] = (await pool.call('network.get_all')) as string[];
    const vif = { device: '0', network: text(network), VM: vm, MAC: '', MTU: 1500, other_config: {} };
    await pool.call('VIF.create', { ...vif, qos_algorithm_type: '', qos_algorithm_params: {} });
    const snapshot = await pool.ref('VM.snapshot', vm, 'snap');
    const [record, original] = [await pool.record('VM', snapshot), await pool.record('VM', vm)];
    expect(record).toMatchObject({
      is_a_snapshot: true,
      is_a_template: true,
      snapshot_of: vm,
      power_state: 'Halted',
    });
    const mac = async (vm: Record): Promise<unknown> =>
      (await pool.record('VIF', text((vm['VIFs'] as string[])[0])))['MAC'];
    expect(await mac(record)).toBe(await mac(original));
    const [taken] = (await pool.call('VDI.get_snapshots', vdi)) as string[];
    const [vbd] = (await pool.call('VDI.get_VBDs', text(taken))) as string[];
    expect(await pool.record('VBD', text(vbd))).toMatchObject({ VM: snapshot, currently_attached: false });
    expect(await pool.call('VDI.destroy', text(taken))).toBe('');
  });

  it('quirk 29: VM.destroy leaves the disks, VDI.destroy takes dead VBD records along', async () => {
    const { vm, vdi } = await vmWithDisk('q29');
    await pool.call('VM.destroy', vm);
    expect(await pool.record('VDI', vdi)).toMatchObject({ VBDs: [], managed: true });
    const other = await vmWithDisk('q29b');
    await pool.call('VDI.destroy', other.vdi);
    expect(await pool.failure('VBD.get_record', other.vbd)).toEqual(['HANDLE_INVALID', 'VBD', other.vbd]);
    expect((await pool.record('VM', other.vm))['VBDs']).toEqual([]);
  });

  it('quirk 29: a VBD whose disk was forgotten is collected within half a minute', async () => {
    const { vdi, vbd } = await vmWithDisk('q29c');
    await pool.call('VDI.forget', vdi);
    expect(await pool.record('VBD', vbd)).toMatchObject({ VDI: vdi });
    await pool.pool.control.advanceClock(30_000);
    expect(await pool.failure('VBD.get_record', vbd)).toEqual(['HANDLE_INVALID', 'VBD', vbd]);
  });

  it('quirk 30: VM.create ignores blocked_operations, and a clone of a snapshot is a template', async () => {
    const vm = await pool.createVm({ blocked_operations: { start: 'no' } });
    expect(await pool.call('VM.get_blocked_operations', vm)).toEqual({});
    const clone = await pool.ref('VM.clone', await pool.ref('VM.snapshot', vm, 's'), 'clone');
    expect(await pool.record('VM', clone)).toMatchObject({ is_a_template: true, is_a_snapshot: false });
    expect(await pool.failure('VM.start', clone, false, false)).toEqual(['VM_IS_TEMPLATE', clone, 'start']);
  });

  it('quirk 31: a blocked operation is refused before the power state is looked at; states are lower case', async () => {
    const vm = await pool.createVm();
    const wrongState = ['VM_BAD_POWER_STATE', vm, 'paused, suspended, running', 'halted'];
    expect(await pool.failure('VM.hard_shutdown', vm)).toEqual(wrongState);
    await pool.call('VM.add_to_blocked_operations', vm, 'hard_shutdown', 'because');
    expect(await pool.failure('VM.hard_shutdown', vm)).toEqual(['OPERATION_BLOCKED', vm, 'because']);
  });

  it('quirk 32: adding a key that is there fails even with an equal value; removing an absent one is fine', async () => {
    const vm = await pool.createVm();
    await pool.call('VM.add_to_other_config', vm, 'key', 'value');
    const duplicate = ['MAP_DUPLICATE_KEY', 'VM', 'other_config', vm, 'key'];
    expect(await pool.failure('VM.add_to_other_config', vm, 'key', 'value')).toEqual(duplicate);
    expect(await pool.call('VM.remove_from_other_config', vm, 'absent')).toBe('');
  });

  it('quirk 38: after a revert the live disks are others, and the snapshots follow them', async () => {
    const { vm, vdi } = await vmWithDisk('q38');
    const snapshot = await pool.ref('VM.snapshot', vm, 's');
    const [taken] = (await pool.call('VDI.get_snapshots', vdi)) as string[];
    await pool.call('VM.revert', snapshot);
    const [vbd] = (await pool.call('VM.get_VBDs', vm)) as string[];
    const live = await pool.ref('VBD.get_VDI', text(vbd));
    expect(live).not.toBe(vdi);
    expect(await pool.failure('VDI.get_uuid', vdi)).toEqual(['HANDLE_INVALID', 'VDI', vdi]);
    expect(await pool.call('VDI.get_snapshot_of', text(taken))).toBe(live);
    expect(await pool.call('VDI.get_snapshots', live)).toEqual([taken]);
  });

  it('other_config goes along with clone, snapshot and revert; blocked operations do not', async () => {
    const { vm } = await vmWithDisk('copied');
    await pool.call('VM.add_to_other_config', vm, 'mark', 'yes');
    await pool.call('VM.add_to_blocked_operations', vm, 'start', 'no');
    const snapshot = await pool.ref('VM.snapshot', vm, 's');
    const clone = await pool.ref('VM.clone', vm, 'c');
    for (const ref of [snapshot, clone]) {
      expect(await pool.call('VM.get_other_config', ref)).toMatchObject({ mark: 'yes' });
      expect(await pool.call('VM.get_blocked_operations', ref)).toEqual({});
    }
    await pool.call('VM.remove_from_other_config', vm, 'mark');
    await pool.call('VM.revert', snapshot);
    expect(await pool.call('VM.get_other_config', vm)).toMatchObject({ mark: 'yes' });
  });
});

describe('disks', () => {
  it('quirk 27: a snapshot makes a base copy too, which merging removes again', async () => {
    const vdi = await pool.createVdi({ name_label: 'q27' });
    const uuid = await pool.ref('VDI.get_uuid', vdi);
    await pool.pool.control.writeDisk(uuid, 0, new Uint8Array(512).fill(1));
    const snapshot = await pool.ref('VDI.snapshot', vdi, {});
    const parent = async (ref: string): Promise<unknown> =>
      ((await pool.call('VDI.get_sm_config', ref)) as Record)['vhd-parent'];
    const base = await pool.ref('VDI.get_by_uuid', text((await parent(vdi)) as string));
    expect(await parent(snapshot)).toBe(await parent(vdi));
    expect(await pool.record('VDI', base)).toMatchObject({
      name_label: 'base copy',
      managed: false,
      read_only: true,
    });
    expect(await pool.failure('VDI.destroy', base)).toEqual(['VDI_NOT_MANAGED', base]);
    await pool.call('VDI.destroy', snapshot);
    expect(await pool.pool.control.coalesce()).toBeGreaterThan(0);
    expect(await pool.failure('VDI.get_uuid', base)).toEqual(['HANDLE_INVALID', 'VDI', base]);
    expect(await parent(vdi)).toBeUndefined();
    expect([...(await pool.pool.control.readDisk(uuid, 0, 2))]).toEqual([1, 1]);
  });

  it('quirk 27: a chain of thirty files takes no further snapshot', async () => {
    const vdi = await pool.createVdi({ name_label: 'chain' });
    const uuid = await pool.ref('VDI.get_uuid', vdi);
    const snapshots: string[] = [];
    const grow = async (): Promise<void> => {
      for (let depth = 0; depth < 40; depth++) {
        await pool.pool.control.writeDisk(uuid, 0, new Uint8Array(512).fill(depth));
        snapshots.push(await pool.ref('VDI.snapshot', vdi, {}));
      }
    };
    const failure = await failureOf(grow());
    expect(failure).toEqual(['SR_BACKEND_FAILURE_109', '', 'The snapshot chain is too long', '']);
    expect(snapshots).toHaveLength(29);
    for (const snapshot of snapshots) await pool.call('VDI.destroy', snapshot);
    await pool.pool.control.coalesce();
    expect(text(await pool.call('VDI.snapshot', vdi, {}))).toContain('OpaqueRef:');
  });

  it('quirk 28: sizes are rounded up to whole blocks of 2 MiB', async () => {
    const vdi = await pool.createVdi({ virtual_size: 3 * MIB + 1 });
    expect(await pool.call('VDI.get_virtual_size', vdi)).toBe(4 * MIB);
  });

  it('quirk 33: operations show while they run and give events; allowed_operations never names those of CBT', async () => {
    const { vm, vdi } = await vmWithDisk('q33');
    const { token } = (await pool.call('event.from', ['vm'], '', 0.0)) as { token: string };
    await pool.pool.control.addFault({
      match: { method: 'VDI.snapshot', object: vdi },
      effect: { kind: 'delay', ms: 3_600_000 },
    });
    const snapshot = pool.call('VM.snapshot', vm, 's');
    const seen = (await pool.call('event.from', ['vm'], token, 5.0)) as unknown as {
      events: { snapshot: Record }[];
    };
    expect(Object.values(seen.events[0]?.snapshot['current_operations'] ?? {})).toEqual(['snapshot']);
    expect(seen.events[0]?.snapshot['allowed_operations']).not.toContain('destroy');
    await pool.pool.control.advanceClock(3_600_000);
    await pool.login();
    await snapshot;
    expect(await pool.record('VM', vm)).toMatchObject({ current_operations: {} });
    expect(await pool.call('VM.get_allowed_operations', vm)).toContain('destroy');
    expect(await pool.call('VDI.get_allowed_operations', vdi)).not.toContain('enable_cbt');
    expect(await pool.call('VDI.enable_cbt', vdi)).toBe('');
  });

  it('quirk 34: a disk that is open for writing loses its content_id and shows its host; closed it has a new one', async () => {
    const { vm, vdi } = await vmWithDisk('q34');
    await pool.call('VDI.add_to_other_config', vdi, 'content_id', 'before');
    const host = await pool.only('host');
    await pool.call('VM.start', vm, false, false);
    const running = await pool.record('VDI', vdi);
    expect(running['other_config']).toEqual({});
    expect(running['sm_config']).toMatchObject({ [`host_${host}`]: 'RW' });
    expect(await pool.failure('VDI.destroy', vdi)).toEqual(['VDI_IN_USE', vdi, 'destroy']);
    await pool.call('VM.hard_shutdown', vm);
    const halted = await pool.record('VDI', vdi);
    expect(Object.keys(halted['sm_config'] as Record)).not.toContain(`host_${host}`);
    const { content_id: after } = halted['other_config'] as Record;
    expect(after).toMatch(/^[\da-f-]{36}$/);
    const clone = await pool.ref('VDI.clone', vdi, {});
    expect(await pool.call('VDI.get_other_config', clone)).toEqual({ content_id: after });
  });

  it('quirk 35: the space that an SR says it uses is that of the last scan', async () => {
    const sr = await pool.only('SR');
    const vdi = await pool.createVdi({ name_label: 'q35' });
    await pool.call('SR.update', sr);
    const before = Number(await pool.call('SR.get_physical_utilisation', sr));
    const uuid = await pool.ref('VDI.get_uuid', vdi);
    await pool.pool.control.writeDisk(uuid, 0, new Uint8Array(4 * MIB).fill(7));
    expect(await pool.call('SR.get_physical_utilisation', sr)).toBe(before);
    await pool.call('SR.scan', sr);
    expect(Number(await pool.call('SR.get_physical_utilisation', sr))).toBeGreaterThanOrEqual(
      before + 4 * MIB,
    );
  });

  it('quirk 36: tracking goes off when a host dies, fails for unrelated disks, and leaves a record without data', async () => {
    const { vm, vdi } = await vmWithDisk('q36');
    await pool.call('VDI.enable_cbt', vdi);
    const first = await pool.ref('VDI.snapshot', vdi, {});
    const second = await pool.ref('VDI.snapshot', vdi, {});
    expect(await pool.call('VDI.list_changed_blocks', first, second)).toMatch(/^A+=*$/);
    const reversed = await pool.failure('VDI.list_changed_blocks', second, first);
    expect(reversed.slice(0, 2)).toEqual(['SR_BACKEND_FAILURE_460', '']);
    await pool.call('VDI.data_destroy', first);
    expect(await pool.record('VDI', first)).toMatchObject({ type: 'cbt_metadata', virtual_size: 8 * MIB });
    await pool.call('VM.start', vm, false, false);
    await pool.pool.control.setHostOffline('host1');
    await pool.pool.control.setHostOffline('host1', false);
    expect(await pool.call('VDI.get_cbt_enabled', vdi)).toBe(false);
    await pool.call('VM.hard_shutdown', vm);
  });

  it('a host that is switched off takes no connection, and does nothing that it is asked', async () => {
    const vdi = await pool.createVdi();
    await pool.pool.control.setHostOffline('host1');
    await expect(pool.call('VDI.destroy', vdi)).rejects.toThrow('fetch failed');
    await pool.pool.control.setHostOffline('host1', false);
    expect(await pool.call('VDI.get_managed', vdi)).toBe(true);
  });

  it('quirk 40: storage errors can name VDI_IN_USE without any parameter', async () => {
    const vdi = await pool.createVdi();
    await pool.pool.control.addFault({
      match: { method: 'VDI.destroy', object: vdi },
      effect: { kind: 'error', code: 'VDI_IN_USE' },
    });
    expect(await pool.failure('VDI.destroy', vdi)).toEqual(['VDI_IN_USE']);
    expect(await pool.call('VDI.destroy', vdi)).toBe('');
  });
});

describe('what replication leans on', () => {
  it('takes VM records of another pool, member for member', async () => {
    const source = await pool.record('VM', await pool.createVm({ tags: ['a'], other_config: { k: 'v' } }));
    const copy = await pool.ref('VM.create', { ...source, ...vmRecord, name_label: 'copy' });
    expect(await pool.record('VM', copy)).toMatchObject({ name_label: 'copy', tags: ['a'] });
  });

  it('keeps the contents of a vTPM and copies them with the VM', async () => {
    const vm = await pool.createVm({ HVM_boot_params: { order: 'cd', firmware: 'uefi' } });
    const vtpm = await pool.ref('VTPM.create', vm, false);
    await pool.call('VTPM.set_contents', vtpm, 'AAEC');
    const [copied] = (await pool.call('VM.get_VTPMs', await pool.ref('VM.snapshot', vm, 's'))) as string[];
    expect(await pool.call('VTPM.get_contents', text(copied))).toBe('AAEC');
  });

  it('sets memory limits in one call, in their order only', async () => {
    const vm = await pool.createVm();
    await pool.call('VM.set_memory_limits', vm, 64 * MIB, 512 * MIB, 128 * MIB, 512 * MIB);
    expect(await pool.record('VM', vm)).toMatchObject({
      memory_static_max: 512 * MIB,
      memory_dynamic_min: 128 * MIB,
    });
    const wrong = pool.failure('VM.set_memory_limits', vm, 64 * MIB, 128 * MIB, 128 * MIB, 512 * MIB);
    expect(await wrong).toEqual(['MEMORY_CONSTRAINT_VIOLATION']);
  });

  it('refuses what does not fit: a thick SR at creation', async () => {
    const thick = await PoolUnderTest.start({
      srs: [{ name: 'thick', type: 'lvm', sizeBytes: 64 * MIB }],
    });
    try {
      await thick.createVdi({ virtual_size: 40 * MIB });
      const failure = await thick.failure('VDI.create', {
        ...(await thick.record('VDI', await thick.createVdi({ virtual_size: 2 * MIB }))),
        virtual_size: 40 * MIB,
      });
      expect(failure).toEqual(['SR_BACKEND_FAILURE_44', '', 'There is insufficient space', '']);
    } finally {
      await thick.close();
    }
  });

  it('neither clones nor snapshots a raw volume', async () => {
    const lvm = await PoolUnderTest.start({ srs: [{ name: 'thick', type: 'lvm', sizeBytes: 64 * MIB }] });
    try {
      const sr = await lvm.only('SR');
      const vdi = await lvm.createVdi({ sm_config: { type: 'raw' } });
      expect(await lvm.call('VDI.get_sm_config', vdi)).toMatchObject({ type: 'raw', vdi_type: 'aio' });
      expect(await lvm.failure('VDI.clone', vdi, {})).toEqual(['SR_OPERATION_NOT_SUPPORTED', sr]);
      expect(await lvm.failure('VDI.snapshot', vdi, {})).toEqual(['SR_OPERATION_NOT_SUPPORTED', sr]);
    } finally {
      await lvm.close();
    }
  });

  it('has no disk without a plugged PBD', async () => {
    await pool.pool.control.unplugSr('storage', 'host1');
    const sr = await pool.only('SR');
    expect(await pool.failure('VDI.create', { ...anyDisk, SR: sr })).toEqual(['SR_HAS_NO_PBDS', sr]);
    await pool.pool.control.plugSr('storage', 'host1');
    expect(await pool.call('SR.scan', sr)).toBe('');
  });
});

const anyDisk: Record = {
  name_label: '',
  virtual_size: MIB,
  type: 'user',
  sharable: false,
  read_only: false,
  other_config: {},
  SR: NULL,
};
