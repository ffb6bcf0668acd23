/** The run lock with fencing; what its keys mean is decided in lib/planner/lock-keys.ts. */
import { TransportError } from '../xapi';
import type { CallOptions, Pool } from '../xapi';
import {
  encodeHolder,
  leaseKey,
  lockKey,
  obsoleteLockKeys,
  olderLeaseKeys,
  readLock,
  releasedKey,
} from '../planner/lock-keys';
import type { LockHolder, LockName, LockState } from '../planner/lock-keys';
import type { RunContext } from './context';
import { codeOf, ReplicationError } from './errors';

/** A dead holder stands in the way for at most this long; a living one renews long before. */
export const leaseMs = 120_000;
/** What must be left of the lease before anything is swapped, committed or destroyed. */
export const leaseMarginMs = 60_000;
const renewEveryMs = 30_000;
const pollEveryMs = 2_000;
/** Who waits hears that often that it still does: silence for minutes looks like a program that hangs. */
const sayEveryMs = 15_000;
/** A connection that breaks once is no reason to give up a run, nor to keep the next one waiting for the lease. */
const lostAnswersMax = 1;
const releaseTriesMax = 1 + lostAnswersMax;

export interface RunLock {
  readonly number: number;
  /**
   * Reads the lock again and renews it; throws `lock-lost` unless it is ours with enough lease left. Returns the target
   * coordinator's time.
   * To be called right before an upload, a swap, a commit or a destruction.
   */
  check(options?: CallOptions): Promise<number>;
  /** Lets others in. Bounded, never throws: an unreleased lock runs out by itself. */
  release(): Promise<void>;
}

/**
 * Takes the lock of (job, VM), waiting at most `waitMs` for another holder.
 *
 * @param onWait called when the waiting begins, and every quarter of a minute while it lasts
 * @throws ReplicationError `locked` when the holder is still there, naming it and until when.
 */
export async function acquireLock(
  target: Pool,
  name: LockName,
  context: RunContext,
  waitMs: number,
  onWait: (holder: string, untilMs: number) => void,
): Promise<RunLock> {
  const startedMs = context.clock.nowMs();
  let lost = 0;
  let saidMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const nowMs = await target.serverTime({ signal: context.signal });
    const state = await read(target, name, nowMs, context);
    if (state.kind !== 'held') {
      const taken = await tryTake(target, name, state.highest + 1, nowMs, context).catch((error: unknown) => {
        lost += 1;
        if (!(error instanceof TransportError) || lost > lostAnswersMax) throw error;
        return false;
      });
      if (taken) return new HeldLock(target, name, state.highest + 1, context);
      continue;
    }
    // Ours already: the answer to our taking it was lost.
    if (isOf(state.holder, context)) return new HeldLock(target, name, state.highest, context);
    const clockMs = context.clock.nowMs();
    if (clockMs - startedMs >= waitMs) throw lockedError(target, name, state);
    if (clockMs - saidMs >= sayEveryMs) {
      onWait(state.holder.who, state.untilMs);
      saidMs = clockMs;
    }
    await context.clock.sleep(pollEveryMs, context.signal);
  }
}

async function read(target: Pool, name: LockName, nowMs: number, context: RunContext): Promise<LockState> {
  const otherConfig = await target.call('pool.get_other_config', [target.ref], { signal: context.signal });
  return readLock(otherConfig, name, nowMs);
}

/** Adds our number and reads again: held only if ours is the highest. */
async function tryTake(
  target: Pool,
  name: LockName,
  number: number,
  takenAtMs: number,
  context: RunContext,
): Promise<boolean> {
  const holder = encodeHolder({ run: context.runId, who: context.who, takenAtMs, leaseMs });
  try {
    await target.call('pool.add_to_other_config', [target.ref, lockKey(name, number), holder]);
  } catch (error) {
    if (codeOf(error) === 'MAP_DUPLICATE_KEY') return false;
    throw error;
  }
  const otherConfig = await target.call('pool.get_other_config', [target.ref]);
  const state = readLock(otherConfig, name, takenAtMs);
  if (state.highest !== number) return false;
  await forgetOlder(target, obsoleteLockKeys(otherConfig, name, number));
  return true;
}

/** Best effort: whoever takes the lock next removes them, and having it does not depend on their being gone. */
async function forgetOlder(target: Pool, obsolete: readonly string[]): Promise<void> {
  try {
    for (const key of obsolete) await target.call('pool.remove_from_other_config', [target.ref, key]);
  } catch {
    // Not the rest either: a lock without the key of its release would look to people like one that is held.
  }
}

function isOf(holder: LockHolder, context: RunContext): boolean {
  return holder.run === context.runId && holder.who === context.who;
}

function lockedError(
  target: Pool,
  name: LockName,
  state: Extract<LockState, { kind: 'held' }>,
): ReplicationError {
  const until = new Date(state.untilMs).toISOString();
  return new ReplicationError(
    'locked',
    `Cannot run job ${name.jobId} for VM ${name.vmUuid}: ${state.holder.who} (run ${state.holder.run}) holds its lock ` +
      `on pool "${target.name}" until ${until} by that pool's clock`,
    { retry: 'later', hint: 'wait for the other run; if it died, its lock runs out by itself' },
  );
}

class HeldLock implements RunLock {
  readonly number: number;
  readonly #target: Pool;
  readonly #name: LockName;
  readonly #context: RunContext;
  readonly #stop = new AbortController();
  #renewing: Promise<void> = Promise.resolve();

  constructor(target: Pool, name: LockName, number: number, context: RunContext) {
    this.#target = target;
    this.#name = name;
    this.#context = context;
    this.number = number;
    void this.#keepRenewing();
  }

  async check(options: CallOptions = {}): Promise<number> {
    // One after another: two at the same second would write the same key.
    const checking = this.#renewing.then(() => this.#renew(options));
    this.#renewing = checking.then(
      () => undefined,
      () => undefined,
    );
    return checking;
  }

  async release(): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
    for (let tries = 1; tries <= releaseTriesMax; tries += 1) {
      try {
        await this.#target.call(
          'pool.add_to_other_config',
          [this.#target.ref, releasedKey(this.#name, this.number), this.#context.runId],
          { timeoutMs: 10_000 },
        );
        return;
      } catch (error) {
        // It stands already: a try whose answer was lost.
        if (codeOf(error) === 'MAP_DUPLICATE_KEY') return;
        // Otherwise harmless: the lease is not renewed any more and runs out by itself, though others wait for it.
      }
    }
  }

  /** Long transfers call nothing for hours; meanwhile the lease must not run out. */
  async #keepRenewing(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#context.clock.sleep(renewEveryMs, this.#stop.signal);
      } catch {
        return;
      }
      // A failed renewal is not the end: the next one, or the check before anything irreversible, decides.
      const options = { signal: this.#stop.signal, timeoutMs: renewEveryMs };
      this.#renewing = this.#renewing
        .then(() => this.#renew(options))
        .then(
          () => undefined,
          () => undefined,
        );
      await this.#renewing;
    }
  }

  async #renew(options: CallOptions): Promise<number> {
    const [nowMs, otherConfig] = await Promise.all([
      this.#target.serverTime(options),
      this.#target.call('pool.get_other_config', [this.#target.ref], options),
    ]);
    const state = readLock(otherConfig, this.#name, nowMs);
    if (state.highest !== this.number || state.kind === 'free') throw this.#lost(state);
    // Expired but not taken over: nobody else was let in, but somebody may be on the way. Do not argue.
    if (state.kind === 'expired') throw this.#lost(state);
    if (state.untilMs - nowMs >= leaseMarginMs) return nowMs;
    const untilMs = nowMs + leaseMs;
    const key = leaseKey(this.#name, this.number, untilMs);
    await this.#target.call(
      'pool.add_to_other_config',
      [this.#target.ref, key, this.#context.runId],
      options,
    );
    for (const old of olderLeaseKeys(otherConfig, this.#name, this.number, untilMs)) {
      await this.#target.call('pool.remove_from_other_config', [this.#target.ref, old], options);
    }
    return nowMs;
  }

  #lost(state: LockState): ReplicationError {
    const now = state.kind === 'free' ? 'released' : `held by ${state.holder.who} (run ${state.holder.run})`;
    return new ReplicationError(
      'lock-lost',
      `Lost the lock of job ${this.#name.jobId} for VM ${this.#name.vmUuid} on pool "${this.#target.name}": ` +
        `number ${String(this.number)} is ${state.kind === 'expired' ? 'expired' : 'not the highest'}, now ${now}`,
      {
        retry: 'never',
        hint: 'this run stops without touching anything more; the next run cleans up after it',
      },
    );
  }
}
