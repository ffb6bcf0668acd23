import { TransportError, XapiError } from '../../lib/xapi';
import { SnapshotGroup } from '../../lib/engine/snapshot-group';
import type { AtRest } from '../../lib/engine/snapshot-group';

const signal = new AbortController().signal;
const one = { uuid: 'u1', name: 'db' };
const other = { uuid: 'u2', name: 'web' };

function drivenClock(): { nowMs: number; readonly clock: ConstructorParameters<typeof SnapshotGroup>[2] } {
  const state = { nowMs: 0 };
  return Object.assign(state, {
    clock: { nowMs: () => state.nowMs, sleep: () => Promise.reject(new Error('nobody waits')) },
  });
}

test('nobody takes a snapshot before all are ready, and nobody goes on before all have theirs', async () => {
  const { clock } = drivenClock();
  const group = new SnapshotGroup([one, other], 1000, clock);
  const log: string[] = [];
  const first = group.take(one, signal, () => {
    log.push('one');
    return Promise.resolve('s1');
  });
  await Promise.resolve();
  expect(log).toEqual([]);
  const second = group.take(other, signal, () => {
    log.push('other');
    return Promise.resolve('s2');
  });
  expect(await Promise.all([first, second])).toEqual(['s1', 's2']);
  expect(log.sort()).toEqual(['one', 'other']);
});

test('a member that ends before its turn ends it for all, by name', async () => {
  const group = new SnapshotGroup([one, other], 1000, drivenClock().clock);
  const waiting = group.take(one, signal, () => Promise.resolve('s1'));
  group.leave(other);
  await expect(waiting).rejects.toThrow('VM "web" (u2) could not take part in the snapshot of its group');
});

test('a snapshot that fails is told as it is to its own VM, and ends it for the others', async () => {
  const group = new SnapshotGroup([one, other], 1000, drivenClock().clock);
  const failing = group.take(one, signal, () => Promise.reject(new Error('SR_FULL')));
  const waiting = group.take(other, signal, () => Promise.resolve('s2'));
  const [failed, broken] = await Promise.allSettled([failing, waiting]);
  expect(failed).toMatchObject({ reason: { message: 'SR_FULL' } });
  expect(broken).toMatchObject({ reason: { code: 'group-incomplete' } });
});

describe('members that are brought to rest', () => {
  function brought(log: string[], name: string): AtRest {
    return async (work) => {
      log.push(`${name} down`);
      try {
        return await work();
      } finally {
        log.push(`${name} up`);
      }
    };
  }

  test('are all down before the first snapshot, and none before all are ready', async () => {
    const time = drivenClock();
    const group = new SnapshotGroup([one, other], 1000, time.clock);
    const log: string[] = [];
    const snapshotOf = (name: string) => (): Promise<void> => {
      log.push(`${name} taken`);
      return Promise.resolve();
    };
    let rest = (): void => undefined;
    const slow: AtRest = async (work) => {
      log.push('one goes down');
      await new Promise<void>((resolve) => (rest = resolve));
      return brought(log, 'one')(work);
    };
    const first = group.take(one, signal, snapshotOf('one'), slow);
    await Promise.resolve();
    expect(log).toEqual([]);
    const second = group.take(other, signal, snapshotOf('other'), brought(log, 'other'));
    while (log.length < 2) await Promise.resolve();
    expect(log.sort()).toEqual(['one goes down', 'other down']);
    // What a guest takes to shut down is no skew.
    time.nowMs = 5000;
    rest();
    await Promise.all([first, second]);
    const taken = log.flatMap((text, index) => (text.endsWith('taken') ? [index] : []));
    expect(taken.every((index) => index > log.indexOf('one down'))).toBe(true);
    expect(log).toHaveLength(7);
  });

  test('come up again at once where one of them cannot be brought to rest', async () => {
    const group = new SnapshotGroup([one, other], 1000, drivenClock().clock);
    const log: string[] = [];
    const waiting = group.take(one, signal, () => Promise.resolve(), brought(log, 'one'));
    const refusing = group.take(
      other,
      signal,
      () => Promise.resolve(),
      () => Promise.reject(new Error('no tools')),
    );
    await expect(refusing).rejects.toThrow('no tools');
    await expect(waiting).rejects.toThrow('VM "web" (u2) could not take part');
    expect(log).toEqual(['one down', 'one up']);
  });
});

test('what took longer than allowed is no group', async () => {
  const time = drivenClock();
  const group = new SnapshotGroup([one], 500, time.clock);
  const taken = group.take(one, signal, () => {
    time.nowMs = 501;
    return Promise.resolve('s1');
  });
  await expect(taken).rejects.toThrow('The snapshots of 1 VMs took 501 ms, the job allows 500');
});

test('there is no second snapshot apart from the group', async () => {
  const group = new SnapshotGroup([one], 500, drivenClock().clock);
  await group.take(one, signal, () => Promise.resolve('s1'));
  group.leave(one);
  await expect(group.take(one, signal, () => Promise.resolve('s2'))).rejects.toThrow('a second snapshot');
});

test('who comes a second time is told what it failed with before, for good', async () => {
  const group = new SnapshotGroup([one], 500, drivenClock().clock);
  const busy = new XapiError({ code: 'SR_BUSY', params: [], method: 'VM.snapshot', poolName: 'Paris' });
  await expect(group.take(one, signal, () => Promise.reject(busy))).rejects.toBe(busy);
  await expect(group.take(one, signal, () => Promise.resolve('s2'))).rejects.toMatchObject({
    code: 'SR_BUSY',
    retry: 'never',
    message: expect.stringMatching(
      /^VM.snapshot failed on pool "Paris".* would need a second snapshot/,
    ) as string,
    cause: busy,
  });
});

test('a member that failed after its snapshot is told that, too', async () => {
  const group = new SnapshotGroup([one], 500, drivenClock().clock);
  await group.take(one, signal, () => Promise.resolve('s1'));
  const lost = { kind: 'connection', retry: 'later', what: 'lost', hint: 'wait', poolName: 'p' } as const;
  group.failed(one, new TransportError(lost));
  await expect(group.take(one, signal, () => Promise.resolve('s2'))).rejects.toMatchObject({
    code: 'connection',
    retry: 'never',
    hint: 'wait; then run the job again: the whole group gets new snapshots',
  });
});

test('whoever is told to stop does not wait on', async () => {
  const stop = new AbortController();
  const group = new SnapshotGroup([one, other], 1000, drivenClock().clock);
  const waiting = group.take(one, stop.signal, () => Promise.resolve('s1'));
  stop.abort(new Error('Ctrl-C'));
  await expect(waiting).rejects.toThrow('Ctrl-C');
});
