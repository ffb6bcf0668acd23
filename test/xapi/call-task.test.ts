import { Pool, type Ref } from '../../lib/xapi';
import { TASK_TIMINGS } from '../../lib/xapi/task';
import { ApiFailure, FakePool } from './fake-pool';
import { CutConnection, type Dialect } from './fake-rpc';

const VM = 'OpaqueRef:00000000-0000-4000-8000-00000000000e' as Ref<'VM'>;
const TASK = 'OpaqueRef:7a5c0000-0000-4000-8000-00000000000f';
const SNAPSHOT = 'OpaqueRef:00000000-0000-4000-8000-00000000000f';

describe('operations watched by their task', () => {
  let fake: FakePool;
  let pool: Pool;

  async function start(dialect: Dialect = 'json-rpc 2.0'): Promise<void> {
    fake = await FakePool.start({ dialect });
    fake.handlers.set('Async.VM.snapshot', () => {
      fake.endTask(TASK, 'pending');
      return TASK;
    });
    pool = await Pool.connect(fake.endpoint());
  }

  afterEach(async () => {
    await pool.disconnect();
    await fake.close();
  });

  /** Lets the task end after it was seen pending a few times. */
  function endAfterPolls(
    polls: number,
    ...end: [status: string, errorInfo?: readonly string[], result?: string]
  ): void {
    let seen = 0;
    fake.handlers.set('task.get_record', () => {
      seen += 1;
      if (seen > polls) fake.endTask(TASK, ...end);
      return fake.tasks.get(TASK);
    });
  }

  it.each<Dialect>(['json-rpc 2.0', 'xml-rpc'])(
    'give the result over %s and destroy the task',
    async (dialect) => {
      await start(dialect);
      endAfterPolls(3, 'success', [], dialect === 'xml-rpc' ? SNAPSHOT : `<value>${SNAPSHOT}</value>`);
      expect(await pool.callTask('VM.snapshot', [VM, 'now'])).toBe(SNAPSHOT);
      expect(
        fake.calls.filter((call) => call.method === 'task.destroy').map((call) => call.params[1]),
      ).toEqual([TASK]);
    },
  );

  it('fail with the error of the task', async () => {
    await start();
    endAfterPolls(1, 'failure', ['SR_BACKEND_FAILURE_44', '', 'no space']);
    await expect(pool.callTask('VM.snapshot', [VM, 'now'])).rejects.toMatchObject({
      code: 'SR_BACKEND_FAILURE_44',
      params: ['', 'no space'],
      method: 'VM.snapshot',
      retry: 'never',
    });
    expect(fake.tasks.size).toBe(0);
  });

  it('fail as cancelled when somebody cancels the task', async () => {
    await start();
    endAfterPolls(1, 'cancelled');
    await expect(pool.callTask('VM.snapshot', [VM, 'now'])).rejects.toMatchObject({ code: 'TASK_CANCELLED' });
  });

  it('have an unknown outcome when the task vanishes', async () => {
    await start();
    fake.handlers.set('task.get_record', () => {
      throw new ApiFailure('HANDLE_INVALID', 'task', TASK);
    });
    const failed = pool.callTask('VM.snapshot', [VM, 'now']);
    await expect(failed).rejects.toMatchObject({ kind: 'connection', retry: 'later' });
    await expect(failed).rejects.toThrow('its outcome is unknown');
  });

  it('go on being watched when the connection breaks meanwhile', async () => {
    await start();
    let polls = 0;
    fake.handlers.set('task.get_record', () => {
      polls += 1;
      if (polls < 6) throw new CutConnection();
      return { status: 'success', result: '', error_info: [] };
    });
    expect(await pool.callTask('VM.snapshot', [VM, 'now'])).toBe('');
  });

  it('are given up once the pool was out of reach for longer than a restart takes', async () => {
    await start();
    fake.handlers.set('task.get_record', () => {
      throw new CutConnection();
    });
    const usual = { ...TASK_TIMINGS };
    Object.assign(TASK_TIMINGS, { unreachableMs: 200 });
    try {
      const failed = pool.callTask('VM.snapshot', [VM, 'now'], { timeoutMs: 600_000 });
      await expect(failed).rejects.toMatchObject({ kind: 'connection', retry: 'later' });
    } finally {
      Object.assign(TASK_TIMINGS, usual);
    }
  });

  it('are asked to stop when the caller cancels', async () => {
    await start();
    const controller = new AbortController();
    fake.handlers.set('task.get_record', () => {
      controller.abort();
      return fake.tasks.get(TASK);
    });
    const failed = pool.callTask('VM.snapshot', [VM, 'now'], { signal: controller.signal });
    await expect(failed).rejects.toMatchObject({ kind: 'aborted' });
    expect(fake.count('task.cancel')).toBe(1);
    expect(fake.tasks.size).toBe(0);
  });

  it('end at their bound and say that the outcome is open', async () => {
    await start();
    const now = performance.now.bind(performance);
    let laterMs = 0;
    // The time is up once the task was seen pending, and not before, however long this process stands still.
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
    fake.handlers.set('task.get_record', () => {
      laterMs = 60_000;
      return fake.tasks.get(TASK);
    });
    try {
      const failed = pool.callTask('VM.snapshot', [VM, 'now'], { timeoutMs: 60_000 });
      await expect(failed).rejects.toThrow('the task of VM.snapshot was still pending after 60000 ms');
      await expect(failed).rejects.toMatchObject({ kind: 'timeout', retry: 'later' });
      expect(fake.count('task.cancel')).toBe(1);
    } finally {
      clock.mockRestore();
    }
  });
});
