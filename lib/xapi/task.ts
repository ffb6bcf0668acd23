import type { CallOptions } from './call';
import { TransportError, XapiError } from './errors';
import { cancelled } from './failures';
import type { TaskRecord } from './records';
import type { Ref } from './refs';
import type { Caller } from './session';
import { pause } from './wait';

/** Polling starts quickly, since most operations take a few dozen milliseconds, and slows down to once a second. */
const FIRST_POLL_MS = 20;
const SLOWEST_POLL_MS = 1_000;
const POLL_GROWTH = 1.5;
export interface TaskTimings {
  /** How long the pool may be out of reach while a task is watched: a restart of the toolstack takes about a minute. */
  readonly unreachableMs: number;
}

export const TASK_TIMINGS: TaskTimings = { unreachableMs: 3 * 60_000 };
const CLEAN_UP_MS = 5_000;
/** Bounds of one poll, within the bound of the whole wait. */
const SHORTEST_CALL_MS = 1_000;
const LONGEST_CALL_MS = 60_000;

export interface WatchOptions extends CallOptions {
  readonly timeoutMs: number;
  /** The call or transfer that the task carries out, for messages. */
  readonly method: string;
  readonly poolName: string;
}

/** What is left of a task's record once it has ended. */
export type EndedTask = Pick<TaskRecord, 'status' | 'result' | 'error_info'>;

/**
 * Waits for a task to succeed, by polling.
 * @throws XapiError with the task's own error; TransportError where its outcome cannot be known any more
 */
export async function watchTask(
  session: Caller,
  task: Ref<'task'>,
  options: WatchOptions,
): Promise<EndedTask> {
  const ended = await pollTask(session, task, options);
  const { method, poolName, timeoutMs } = options;
  if (ended === null) {
    throw new TransportError({
      kind: 'timeout',
      retry: 'later',
      what: `the task of ${method} was still pending after ${timeoutMs} ms`,
      hint: 'it may still be carried out: look at the pool again before repeating it',
      poolName,
    });
  }
  if (ended.status === 'success') return ended;
  const [code = ended.status === 'cancelled' ? 'TASK_CANCELLED' : 'INTERNAL_ERROR', ...params] =
    ended.error_info;
  throw new XapiError({ code, params, method, poolName });
}

/**
 * The error a task ended with, where it ends with one within `timeoutMs`; null where it does not, or cannot be asked. Never
 * throws: it explains another failure, which must not be hidden by a third.
 */
export async function taskFailure(
  session: Caller,
  task: Ref<'task'>,
  options: WatchOptions,
): Promise<XapiError | null> {
  try {
    await watchTask(session, task, options);
    return null;
  } catch (error) {
    return error instanceof XapiError && error.method === options.method ? error : null;
  }
}

/** Waits until a task has ended, one way or another, at most `timeoutMs`; never throws. */
export async function taskEnded(session: Caller, task: Ref<'task'>, options: WatchOptions): Promise<void> {
  await pollTask(session, task, options).catch(() => undefined);
}

/** Destroys a task, pending or not, within a few seconds; never throws: xapi collects those that stay. */
export async function destroyTask(session: Caller, task: Ref<'task'>): Promise<void> {
  const destroy = (): Promise<unknown> => session.call('task.destroy', [task], { timeoutMs: CLEAN_UP_MS });
  // Once more: the request may have been lost, and where the answer was, the task is simply gone.
  await destroy().catch(() => destroy().catch(() => undefined));
}

/** Asks a task to stop, within a few seconds; never throws: many operations do not listen. */
export async function cancelTask(session: Caller, task: Ref<'task'>): Promise<void> {
  await session.call('task.cancel', [task], { timeoutMs: CLEAN_UP_MS }).catch(() => undefined);
}

/** Null when the time is up. */
async function pollTask(
  session: Caller,
  task: Ref<'task'>,
  { method, poolName, signal, timeoutMs }: WatchOptions,
): Promise<EndedTask | null> {
  const startMs = performance.now();
  const leftMs = (): number => timeoutMs - (performance.now() - startMs);
  let answeredMs = startMs;
  for (let intervalMs = FIRST_POLL_MS; ; intervalMs = Math.min(intervalMs * POLL_GROWTH, SLOWEST_POLL_MS)) {
    if (signal?.aborted === true) throw cancelled(`waiting for the task of ${method}`, poolName);
    if (leftMs() <= 0) return null;
    try {
      const record = await session.call('task.get_record', [task], {
        signal,
        timeoutMs: Math.min(Math.max(leftMs(), SHORTEST_CALL_MS), LONGEST_CALL_MS),
      });
      if (record.status !== 'pending' && record.status !== 'cancelling') return record;
      answeredMs = performance.now();
    } catch (error) {
      if (isGone(error)) throw vanished(method, poolName, error);
      const lost =
        error instanceof TransportError && (error.kind === 'connection' || error.kind === 'timeout');
      if (!lost || performance.now() - answeredMs > TASK_TIMINGS.unreachableMs) throw error;
    }
    await pause(Math.min(intervalMs, Math.max(leftMs(), 1)), signal);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof XapiError && error.code === 'HANDLE_INVALID';
}

/** Tasks do not survive a restart of the toolstack or another coordinator, and are collected some time after their end. */
function vanished(method: string, poolName: string, cause: unknown): TransportError {
  return new TransportError({
    kind: 'connection',
    retry: 'later',
    what: `the task of ${method} has vanished (did the toolstack restart, or the coordinator move?)`,
    hint: 'its outcome is unknown: look at the pool again before repeating it',
    poolName,
    cause,
  });
}
