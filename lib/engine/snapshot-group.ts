/**
 * Snapshots of several VMs at one moment: a database and the servers that write to it come back as they were together.
 * All or nothing: a group without one of its members is not what was asked for.
 */
import { TransportError } from '../xapi';
import type { Clock } from './context';
import { codeOf, ReplicationError, retryOf } from './errors';

interface Member {
  readonly uuid: string;
  readonly name: string;
}

type State = 'gathering' | 'taken' | 'broken';

/** Runs `work` while the member is at rest. */
export type AtRest = <T>(work: () => Promise<T>) => Promise<T>;

const asItIs: AtRest = (work) => work();

export class SnapshotGroup {
  readonly #skewMaxMs: number;
  readonly #clock: Clock;
  readonly #ready: Gate;
  readonly #atRest: Gate;
  readonly #done: Gate;
  readonly #failures = new Map<string, unknown>();
  #state: State = 'gathering';
  #startedMs = 0;

  /** @param skewMaxMs from the first snapshot call to the last answer: no less than the true skew */
  constructor(members: readonly Member[], skewMaxMs: number, clock: Clock) {
    const uuids = new Set(members.map(({ uuid }) => uuid));
    [this.#ready, this.#atRest, this.#done] = [new Gate(uuids), new Gate(uuids), new Gate(uuids)];
    this.#skewMaxMs = skewMaxMs;
    this.#clock = clock;
  }

  /**
   * Takes the snapshot of one member when all are ready, and answers when all have theirs. Nobody is brought to rest before
   * all are ready, or some would be down while others wait for a lock; and no snapshot is taken before all are at rest, for
   * guests take their time.
   *
   * @throws ReplicationError `group-incomplete` where another member cannot take part; `group-skew` where it took too long.
   *   What was taken is a leftover then. A member that comes a second time gets what it failed with before.
   */
  async take<T>(
    vm: Member,
    signal: AbortSignal,
    takeOne: () => Promise<T>,
    atRest: AtRest = asItIs,
  ): Promise<T> {
    if (this.#state === 'taken' || this.#ready.has(vm.uuid)) throw this.#tooLate(vm);
    if (this.#ready.arrive(vm.uuid)) this.#ready.open();
    await this.#ready.passed(signal);
    let snapshot: T;
    try {
      snapshot = await atRest(() => this.#takeTogether(vm, signal, takeOne));
    } catch (error) {
      this.failed(vm, error);
      this.#break(vm);
      throw error;
    }
    await this.#done.passed(signal);
    return snapshot;
  }

  /** To be called when an attempt of a member fails: it is the reason why the next one cannot have a snapshot. */
  failed({ uuid }: Member, error: unknown): void {
    this.#failures.set(uuid, error);
  }

  /** To be called when a member's run ends, however it does: the others must not wait for it. */
  leave(vm: Member): void {
    if (!this.#done.has(vm.uuid)) this.#break(vm);
  }

  async #takeTogether<T>(vm: Member, signal: AbortSignal, takeOne: () => Promise<T>): Promise<T> {
    if (this.#atRest.arrive(vm.uuid)) {
      this.#startedMs = this.#clock.nowMs();
      this.#atRest.open();
    }
    await this.#atRest.passed(signal);
    const snapshot = await takeOne();
    if (this.#done.arrive(vm.uuid)) this.#end();
    return snapshot;
  }

  #end(): void {
    const skewMs = Math.ceil(this.#clock.nowMs() - this.#startedMs);
    if (skewMs <= this.#skewMaxMs) {
      this.#state = 'taken';
      this.#done.open();
      return;
    }
    this.#state = 'broken';
    this.#done.shut(
      new ReplicationError(
        'group-skew',
        `The snapshots of ${String(this.#done.size)} VMs took ${String(skewMs)} ms, the job allows ${String(this.#skewMaxMs)}`,
        {
          retry: 'never',
          hint: 'allow more (group_skew), protect fewer VMs as one group, or spread their disks over more SRs',
        },
      ),
    );
  }

  #break(vm: Member): void {
    if (this.#state === 'taken' || this.#state === 'broken') return;
    this.#state = 'broken';
    const error = new ReplicationError(
      'group-incomplete',
      `VM "${vm.name}" (${vm.uuid}) could not take part in the snapshot of its group: no VM of it gets a recovery point`,
      {
        retry: 'never',
        hint: 'the report says what is wrong with that VM; take it out of the job, or give up the group',
      },
    );
    for (const gate of [this.#ready, this.#atRest, this.#done]) gate.shut(error);
  }

  #tooLate(vm: Member): Error {
    const why = `VM "${vm.name}" (${vm.uuid}) would need a second snapshot, apart from those of its group`;
    const hint = 'run the job again: the whole group gets new snapshots';
    const failure = this.#failures.get(vm.uuid);
    if (failure instanceof Error) return new NoSecondSnapshot(failure, why, hint);
    return new ReplicationError('group-incomplete', why, { retry: 'never', hint });
  }
}

/** What a member failed with, told once more under its own code: in this run it cannot try again. */
class NoSecondSnapshot extends Error {
  readonly code: string;
  readonly retry = 'never';
  readonly hint: string;

  constructor(cause: Error, why: string, hint: string) {
    super(`${cause.message}; ${why}`, { cause });
    this.name = 'NoSecondSnapshot';
    this.code = codeOf(cause) ?? (cause instanceof TransportError ? cause.kind : 'unknown');
    this.hint = `${retryOf(cause).hint}; then ${hint}`;
  }
}

/** What several wait for until it opens, or is shut for good. */
class Gate {
  readonly #expected: ReadonlySet<string>;
  readonly #arrived = new Set<string>();
  #state: 'waiting' | 'open' | Error = 'waiting';
  readonly #waiting = new Set<() => void>();

  constructor(expected: ReadonlySet<string>) {
    this.#expected = expected;
  }

  get size(): number {
    return this.#expected.size;
  }

  has(uuid: string): boolean {
    return this.#arrived.has(uuid);
  }

  /** True for the last of them. */
  arrive(uuid: string): boolean {
    this.#arrived.add(uuid);
    return this.#arrived.size === this.#expected.size;
  }

  open(): void {
    this.#settle('open');
  }

  shut(error: Error): void {
    this.#settle(error);
  }

  async passed(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#state === 'waiting') {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    signal.throwIfAborted();
    if (this.#state instanceof Error) throw this.#state;
  }

  #settle(state: 'open' | Error): void {
    if (this.#state !== 'waiting') return;
    this.#state = state;
    for (const wake of this.#waiting) wake();
  }
}
