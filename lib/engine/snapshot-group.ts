/**
 * Snapshots of several VMs at one moment: a database and the servers that write to it come back as they were together.
 * All or nothing: a group without one of its members is not what was asked for.
 */
import type { Clock } from './context';
import { ReplicationError } from './errors';

interface Member {
  readonly uuid: string;
  readonly name: string;
}

type State = 'gathering' | 'taking' | 'taken' | 'broken';

export class SnapshotGroup {
  readonly #members: ReadonlyMap<string, Member>;
  readonly #skewMaxMs: number;
  readonly #clock: Clock;
  readonly #ready = new Set<string>();
  readonly #done = new Set<string>();
  readonly #allReady = new Gate();
  readonly #allDone = new Gate();
  #state: State = 'gathering';
  #startedMs = 0;

  /** @param skewMaxMs from the first snapshot call to the last answer: no less than the true skew */
  constructor(members: readonly Member[], skewMaxMs: number, clock: Clock) {
    this.#members = new Map(members.map((member) => [member.uuid, member]));
    this.#skewMaxMs = skewMaxMs;
    this.#clock = clock;
  }

  /**
   * Takes the snapshot of one member when all are ready, and answers when all have theirs.
   *
   * @throws ReplicationError `group-incomplete` where another member cannot take part, or this one comes a second time;
   *   `group-skew` where it took too long. What was taken is a leftover then.
   */
  async take<T>(vm: Member, signal: AbortSignal, takeOne: () => Promise<T>): Promise<T> {
    if (this.#state === 'taken' || this.#ready.has(vm.uuid)) throw this.#tooLate(vm);
    this.#ready.add(vm.uuid);
    if (this.#ready.size === this.#members.size) this.#begin();
    await this.#allReady.passed(signal);
    let snapshot: T;
    try {
      snapshot = await takeOne();
    } catch (error) {
      this.#break(vm);
      throw error;
    }
    this.#done.add(vm.uuid);
    if (this.#done.size === this.#members.size) this.#end();
    await this.#allDone.passed(signal);
    return snapshot;
  }

  /** To be called when a member's run ends, however it does: the others must not wait for it. */
  leave(vm: Member): void {
    if (!this.#done.has(vm.uuid)) this.#break(vm);
  }

  #begin(): void {
    if (this.#state !== 'gathering') return;
    this.#state = 'taking';
    this.#startedMs = this.#clock.nowMs();
    this.#allReady.open();
  }

  #end(): void {
    const skewMs = Math.ceil(this.#clock.nowMs() - this.#startedMs);
    if (skewMs <= this.#skewMaxMs) {
      this.#state = 'taken';
      this.#allDone.open();
      return;
    }
    this.#state = 'broken';
    this.#allDone.shut(
      new ReplicationError(
        'group-skew',
        `The snapshots of ${String(this.#members.size)} VMs took ${String(skewMs)} ms, the job allows ${String(this.#skewMaxMs)}`,
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
    this.#allReady.shut(error);
    this.#allDone.shut(error);
  }

  #tooLate(vm: Member): ReplicationError {
    return new ReplicationError(
      'group-incomplete',
      `VM "${vm.name}" (${vm.uuid}) would need a second snapshot, apart from those of its group`,
      { retry: 'never', hint: 'run the job again: the whole group gets new snapshots' },
    );
  }
}

/** What several wait for until it opens, or is shut for good. */
class Gate {
  #state: 'waiting' | 'open' | Error = 'waiting';
  readonly #waiting = new Set<() => void>();

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
