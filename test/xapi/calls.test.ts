import { Pool, TransportError, XapiError, type Ref } from '../../lib/xapi';
import { ApiFailure, FakePool, SR, VDI } from './fake-pool';
import { CutConnection, RawAnswer, type Dialect } from './fake-rpc';

const VM = 'OpaqueRef:00000000-0000-4000-8000-00000000000e' as Ref<'VM'>;
const OTHER_SESSION = 'OpaqueRef:5e551000-0000-4000-8000-000000000002';

describe('calls', () => {
  let fake: FakePool;
  let pool: Pool;

  async function start(dialect: Dialect = 'json-rpc 2.0'): Promise<void> {
    fake = await FakePool.start({ dialect });
    pool = await Pool.connect(fake.endpoint());
  }

  afterEach(async () => {
    await pool.disconnect();
    await fake.close();
  });

  it.each<Dialect>(['json-rpc 2.0', 'json-rpc 1.0', 'xml-rpc'])(
    'give the same record over %s',
    async (dialect) => {
      await start(dialect);
      const record = {
        name_label: 'data & more',
        virtual_size: 2199023255552,
        physical_utilisation: 4096,
        is_a_snapshot: true,
        snapshot_time: '20240131T13:20:11Z',
        other_config: { number: '5' },
      };
      fake.handlers.set('VDI.get_record', () => record);
      fake.handlers.set('VDI.get_all_records', () => ({ [VDI]: record }));
      expect(await pool.call('VDI.get_record', [VDI as Ref<'VDI'>])).toEqual(record);
      expect(await pool.call('VDI.get_all_records', [])).toEqual({ [VDI]: record });
    },
  );

  it.each<Dialect>(['json-rpc 2.0', 'json-rpc 1.0', 'xml-rpc'])(
    'give the same error over %s',
    async (dialect) => {
      await start(dialect);
      fake.handlers.set('VM.get_record', () => {
        throw new ApiFailure('HANDLE_INVALID', 'VM', VM);
      });
      const failed = pool.call('VM.get_record', [VM]);
      await expect(failed).rejects.toBeInstanceOf(XapiError);
      await expect(failed).rejects.toMatchObject({
        code: 'HANDLE_INVALID',
        params: ['VM', VM],
        method: 'VM.get_record',
        poolName: 'paris',
        message: `VM.get_record failed on pool "paris": HANDLE_INVALID(VM, ${VM}): the object is gone: look at the pool again`,
      });
    },
  );

  it('give dates as XAPI writes them, whatever the transport has made of them', async () => {
    await start('xml-rpc');
    fake.handlers.set('host.get_servertime', () => '20240131T13:20:11Z');
    expect(await pool.call('host.get_servertime', [pool.coordinator])).toBe('20240131T13:20:11Z');
  });

  describe('when the session has ended', () => {
    beforeEach(async () => {
      await start();
      fake.handlers.set('VM.get_power_state', () => 'Halted');
      fake.handlers.set('VM.destroy', () => '');
      fake.session = OTHER_SESSION;
    });

    it('a read logs in again and is asked once more', async () => {
      expect(await pool.call('VM.get_power_state', [VM])).toBe('Halted');
      expect(pool.sessionRef).toBe(OTHER_SESSION);
      expect(fake.count('session.login_with_password')).toBe(2);
    });

    it('so does the list of changed blocks, which changes nothing either', async () => {
      fake.handlers.set('VDI.list_changed_blocks', () => 'gA==');
      const disk = VDI as Ref<'VDI'>;
      expect(await pool.call('VDI.list_changed_blocks', [disk, disk])).toBe('gA==');
      expect(fake.count('VDI.list_changed_blocks')).toBe(2);
    });

    it('many reads share one login', async () => {
      await Promise.all(Array.from({ length: 8 }, () => pool.call('VM.get_power_state', [VM])));
      expect(fake.count('session.login_with_password')).toBe(2);
    });

    it('a call that changes something is never repeated, but the next one works', async () => {
      await expect(pool.call('VM.destroy', [VM])).rejects.toMatchObject({
        code: 'SESSION_INVALID',
        retry: 'now',
      });
      expect(fake.count('VM.destroy')).toBe(1);
      await pool.call('VM.destroy', [VM]);
      expect(fake.count('VM.destroy')).toBe(2);
    });

    it('a call that comes while somebody logs in waits for that login', async () => {
      const login = fake.handlers.get('session.login_with_password');
      const calls: Promise<unknown>[] = [];
      fake.handlers.set('session.login_with_password', (params, socket) => {
        calls.push(pool.call('VM.destroy', [VM]));
        return login?.(params, socket);
      });
      await pool.call('VM.get_power_state', [VM]);
      await Promise.all(calls);
      expect(fake.count('VM.destroy')).toBe(1);
    });

    it('a login that failed is tried again by the next call', async () => {
      const login = fake.handlers.get('session.login_with_password');
      fake.handlers.set('session.login_with_password', () => {
        throw new CutConnection();
      });
      await expect(pool.call('VM.get_power_state', [VM])).rejects.toMatchObject({ kind: 'connection' });
      if (login !== undefined) fake.handlers.set('session.login_with_password', login);
      expect(await pool.call('VM.get_power_state', [VM])).toBe('Halted');
    });

    it('the error does not give the session away', async () => {
      const failed: unknown = await pool.call('VM.destroy', [VM]).catch((error: unknown) => error);
      expect(String(failed)).not.toContain('5e551000');
      expect(JSON.stringify(failed)).not.toContain('5e551000');
    });
  });

  describe('when the connection breaks after the call was sent', () => {
    beforeEach(async () => {
      await start();
      for (const method of ['VM.destroy', 'VM.get_power_state'])
        fake.handlers.set(method, () => {
          throw new CutConnection();
        });
    });

    it('a call that changes something may have been carried out, and the error says so', async () => {
      const failed = pool.call('VM.destroy', [VM]);
      await expect(failed).rejects.toBeInstanceOf(TransportError);
      await expect(failed).rejects.toMatchObject({
        kind: 'connection',
        retry: 'later',
        hint: 'the call may have been carried out or not: look at the pool again before repeating it',
      });
      expect(fake.count('VM.destroy')).toBe(1);
    });

    it('a read is asked once more, then fails', async () => {
      await expect(pool.call('VM.get_power_state', [VM])).rejects.toMatchObject({ kind: 'connection' });
      expect(fake.count('VM.get_power_state')).toBe(2);
    });
  });

  it('nothing was done where the pool could not even be reached', async () => {
    await start();
    await fake.close();
    // A connection that was idle may die only with the next call; the one after has none to use.
    await pool.call('VM.get_power_state', [VM]).catch(() => undefined);
    await expect(pool.call('VM.destroy', [VM])).rejects.toMatchObject({
      kind: 'connection',
      hint: 'is the host up, and is the address right?',
    });
  });

  it.each<Dialect>(['json-rpc 2.0', 'xml-rpc'])(
    'end at their bound over %s, close their socket, and say what was waited for',
    async (dialect) => {
      await start(dialect);
      const closed = new Promise((resolve) => {
        fake.handlers.set('VM.destroy', (_, socket) => {
          socket.once('close', resolve);
          return new Promise(() => undefined);
        });
      });
      // Long enough for the message to leave: what is said depends on that.
      const failed = pool.call('VM.destroy', [VM], { timeoutMs: 2_000 });
      await expect(failed).rejects.toMatchObject({ kind: 'timeout', retry: 'later' });
      await expect(failed).rejects.toThrow(
        'VM.destroy was not answered within 2000 ms: the call may have been carried out',
      );
      await closed;
    },
  );

  it.each<Dialect>(['json-rpc 2.0', 'xml-rpc'])(
    'end when their caller cancels over %s, and close their socket',
    async (dialect) => {
      await start(dialect);
      const controller = new AbortController();
      const closed = new Promise((resolve) => {
        fake.handlers.set('VM.destroy', (_, socket) => {
          socket.once('close', resolve);
          controller.abort();
          return new Promise(() => undefined);
        });
      });
      const failed = pool.call('VM.destroy', [VM], { signal: controller.signal });
      await expect(failed).rejects.toMatchObject({ kind: 'aborted', retry: 'never' });
      await closed;
    },
  );

  it('a login that has to try XML-RPC keeps to its bound in both languages', async () => {
    fake = await FakePool.start({ dialect: 'xml-rpc' });
    const stop = new AbortController();
    const closed = new Promise((resolve) => {
      fake.handlers.set('session.login_with_password', (_, socket) => {
        socket.once('close', resolve);
        stop.abort();
        return new Promise(() => undefined);
      });
    });
    await expect(Pool.connect(fake.endpoint(), { signal: stop.signal })).rejects.toMatchObject({
      kind: 'aborted',
    });
    await closed;
    fake.handlers.set('session.login_with_password', () => fake.session);
    pool = await Pool.connect(fake.endpoint());
  });

  it('are not sent at all when their caller has cancelled already', async () => {
    await start();
    const failed = pool.call('VM.destroy', [VM], { signal: AbortSignal.abort() });
    await expect(failed).rejects.toMatchObject({ kind: 'aborted' });
    expect(fake.count('VM.destroy')).toBe(0);
  });

  it('an answer that is no XAPI reply is told as such', async () => {
    await start();
    fake.handlers.set('SR.scan', () => {
      throw new RawAnswer('<html>out of order</html>');
    });
    const failed = pool.call('SR.scan', [SR as Ref<'SR'>]);
    await expect(failed).rejects.toMatchObject({ kind: 'protocol', retry: 'later' });
    await expect(failed).rejects.toThrow('the call may have been carried out');
  });
});
