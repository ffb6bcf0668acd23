import { MIB, PoolUnderTest, failureOf, text, type Record } from './pool-under-test';

let pool: PoolUnderTest;
beforeAll(async () => {
  pool = await PoolUnderTest.start({
    users: [
      { name: 'looker', password: 'p', role: 'read-only' },
      { name: 'admin', password: 'p', role: 'vm-admin' },
      { name: 'operator', password: 'p', role: 'pool-operator' },
    ],
  });
});
afterEach(() => pool.pool.control.clearFaults());
afterAll(() => pool.close());

/** Begins an export that stops after its first bytes, and so keeps its disk attached. */
async function hold(vdi: string): Promise<{ task: string; end: () => Promise<void> }> {
  const match = { transfer: 'export' as const, object: vdi };
  await pool.pool.control.addFault({ match, effect: { kind: 'stall', afterBytes: 512 } });
  const task = await pool.ref('task.create', 'held', '');
  const query = `session_id=${pool.session}&task_id=${task}&vdi=${vdi}&format=raw`;
  const cut = new AbortController();
  const response = await fetch(`${pool.url}/export_raw_vdi?${query}`, { signal: cut.signal });
  const { token } = (await pool.call('event.from', ['vdi'], '', 0.0)) as { token: string };
  if (((await pool.call('VDI.get_VBDs', vdi)) as string[]).length === 0)
    await pool.call('event.from', [`vdi/${vdi}`], token, 30.0);
  const end = async (): Promise<void> => {
    cut.abort();
    await response.arrayBuffer().catch(() => undefined);
    const seen = (await pool.call('event.from', ['task'], '', 0.0)) as { token: string };
    if ((await pool.call('task.get_status', task)) === 'pending')
      await pool.call('event.from', [`task/${task}`], seen.token, 30.0);
  };
  return { task, end };
}

describe('disks in use', () => {
  it('are not destroyed while they are exported, and are free again when the client goes away', async () => {
    const vdi = await pool.createVdi();
    const held = await hold(vdi);
    expect(await pool.failure('VDI.destroy', vdi)).toEqual(['VDI_IN_USE', vdi, 'destroy']);
    expect(await pool.ref('VDI.clone', vdi, {})).toContain('OpaqueRef:');
    await held.end();
    expect(await pool.call('task.get_error_info', held.task)).toEqual(['VDI_IO_ERROR', 'Device I/O errors']);
    expect(await pool.call('VDI.destroy', vdi)).toBe('');
  });

  it('lose their content_id to an upload and get a new one after it', async () => {
    const vdi = await pool.createVdi({ other_config: { content_id: 'old', mine: 'kept' } });
    const task = await pool.ref('task.create', 'upload', '');
    const query = `session_id=${pool.session}&task_id=${task}&vdi=${vdi}&format=raw&chunked=true`;
    const frame = Buffer.alloc(12 + 512 + 12);
    frame.writeUInt32LE(512, 8);
    const body = new Uint8Array(frame);
    await fetch(`${pool.url}/import_raw_vdi?${query}`, {
      method: 'PUT',
      body,
      headers: { connection: 'close' },
    });
    const { token } = (await pool.call('event.from', ['task'], '', 0.0)) as { token: string };
    if ((await pool.call('task.get_status', task)) === 'pending')
      await pool.call('event.from', [`task/${task}`], token, 30.0);
    expect(await pool.call('task.get_status', task)).toBe('success');
    const config = (await pool.call('VDI.get_other_config', vdi)) as Record;
    expect(config).toMatchObject({ mine: 'kept' });
    expect(config['content_id']).toMatch(/^[\da-f-]{36}$/);
  });

  it('fit sixteen times into a control domain and no more', async () => {
    const disks = await Promise.all(
      Array.from({ length: 17 }, () => pool.createVdi({ virtual_size: 2 * MIB })),
    );
    const held = [];
    for (const vdi of disks.slice(0, 16)) held.push(await hold(vdi));
    const task = await pool.ref('task.create', 'one too many', '');
    const query = `session_id=${pool.session}&task_id=${task}&vdi=${text(disks[16])}&format=raw`;
    const answer = await fetch(`${pool.url}/export_raw_vdi?${query}`, { headers: { connection: 'close' } });
    expect(await answer.text()).toContain('HTTP/1.1 500 Internal Error');
    expect(await pool.call('task.get_status', task)).toBe('failure');
    for (const export_ of held) await export_.end();
  });

  it('cannot be written to by two running VMs', async () => {
    const vdi = await pool.createVdi();
    const [one, two] = [await pool.createVm(), await pool.createVm()];
    await pool.createVbd(one, vdi);
    await pool.createVbd(two, vdi);
    await pool.call('VM.start', one, false, false);
    expect(await pool.failure('VM.start', two, false, false)).toEqual(['VDI_IN_USE', vdi, 'attach']);
    expect(await pool.call('VM.get_power_state', two)).toBe('Halted');
    await pool.call('VM.hard_shutdown', one);
    expect(await pool.call('VM.start', two, false, false)).toBe('');
    await pool.call('VM.hard_shutdown', two);
  });
});

describe('roles', () => {
  const as = async (user: string): Promise<string> =>
    text(await pool.raw('session.login_with_password', [user, 'p']));

  it('let read-only users read and nothing else', async () => {
    const session = await as('looker');
    expect(await pool.raw('session.get_is_local_superuser', [session, session])).toBe(false);
    expect(await pool.raw('VM.get_all', [session])).toEqual(expect.any(Array));
    const failure = await failureOf(pool.raw('VDI.snapshot', [session, await pool.createVdi()]));
    expect(failure.slice(0, 2)).toEqual(['RBAC_PERMISSION_DENIED', 'vdi.snapshot']);
  });

  it('give a vm-admin VMs, disks and transfers, but not the pool', async () => {
    const session = await as('admin');
    const vdi = await pool.createVdi();
    expect(await pool.raw('VDI.snapshot', [session, vdi])).toContain('OpaqueRef:');
    const change = [await pool.only('pool'), 'key', 'value'];
    const denied = await failureOf(pool.raw('pool.add_to_other_config', [session, ...change]));
    expect(denied.slice(0, 2)).toEqual(['RBAC_PERMISSION_DENIED', 'pool.add_to_other_config']);
    expect(await pool.raw('pool.add_to_other_config', [await as('operator'), ...change])).toBe('');
    const get = async (user: string): Promise<number> => {
      const url = `${pool.url}/export_raw_vdi?session_id=${await as(user)}&vdi=${vdi}`;
      const response = await fetch(url, { headers: { connection: 'close' } });
      await response.arrayBuffer();
      return response.status;
    };
    expect(await get('admin')).toBe(200);
    expect(await get('looker')).toBe(403);
  });

  it('are told to the session that has them', async () => {
    const session = await as('operator');
    const permissions = (await pool.raw('session.get_rbac_permissions', [session, session])) as string[];
    expect(permissions).toEqual(
      expect.arrayContaining(['pool.add_to_other_config', 'vm.snapshot', 'event.from']),
    );
    expect(permissions).not.toContain('subject.create');
  });
});
