import type { Clock } from '../../../lib/engine';
import { startAgain } from '../../../lib/engine/steps/offline';
import { encode } from '../../../lib/planner/keys';
import { quietEnoughMs, shutdownWatchMaxMs } from '../../../lib/planner/shutdown';
import { TransportError } from '../../../lib/xapi';
import type { Pool } from '../../../lib/xapi';

const vm = { ref: 'OpaqueRef:db1', uuid: 'u1', name: 'db1' };
const signal = new AbortController().signal;

function drivenClock(): Clock {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      return Promise.resolve();
    },
  };
}

/** A pool with one marked VM, which is in a state for ever; tells what is called that changes anything. */
function poolWith(operations: readonly string[] | 'no answer'): { pool: Pool; changes: readonly string[] } {
  const changes: string[] = [];
  const record = {
    power_state: 'Running',
    current_operations: Object.fromEntries(Object.entries(operations)),
    other_config: encode.shutdown({ v: 1, self: vm.uuid, job: 'j', run: 'r' }),
  };
  const lost = { kind: 'connection', retry: 'later', what: 'lost', hint: 'none', poolName: 'p' } as const;
  const call = (method: string): Promise<unknown> => {
    if (method !== 'VM.get_record') changes.push(method);
    return operations === 'no answer' ? Promise.reject(new TransportError(lost)) : Promise.resolve(record);
  };
  const fake: Partial<Record<keyof Pool, unknown>> = { name: 'Paris', call, callTask: call };
  return { pool: fake as Pool, changes };
}

test.each([
  [['clean_shutdown'], 'it is Running, clean_shutdown is under way'],
  ['no answer', 'the pool does not answer'],
] as const)('where it stays open whether it goes down, the mark stays: %s', async (operations, why) => {
  const { pool, changes } = poolWith(operations);
  const clock = drivenClock();
  const watching = startAgain(pool, vm, { clock, signal, quietMs: quietEnoughMs });
  await expect(watching).rejects.toMatchObject({
    code: 'source-down',
    message:
      'VM "db1" (u1) on pool "Paris" was told to shut down for its snapshot, and after 300 s it is not clear whether ' +
      `it goes down: ${why}`,
  });
  expect(clock.nowMs()).toBe(shutdownWatchMaxMs);
  expect(changes).toEqual([]);
});

test('one that stays up is watched for a minute, and its mark taken off', async () => {
  const { pool, changes } = poolWith([]);
  const clock = drivenClock();
  await startAgain(pool, vm, { clock, signal, quietMs: quietEnoughMs });
  expect(clock.nowMs()).toBe(quietEnoughMs);
  expect(changes).toEqual(['VM.remove_from_other_config']);
});
