import { heldLocks, readLock } from '../planner/lock-keys';

/** A run that holds the lock of a VM at this moment. */
export interface RunUnderWay {
  readonly vmUuid: string;
  readonly run: string;
  readonly who: string;
  readonly takenAtMs: number;
  /** When its lease ends, unless it is renewed. */
  readonly untilMs: number;
}

/** @param nowMs by the target pool's clock, as all times of locks */
export function runsUnderWay(
  otherConfig: Readonly<Record<string, string>>,
  jobId: string,
  nowMs: number,
): readonly RunUnderWay[] {
  return [...heldLocks(otherConfig, jobId, nowMs)].map(([vmUuid, { run, who, takenAtMs }]) => {
    const state = readLock(otherConfig, { jobId, vmUuid }, nowMs);
    return { vmUuid, run, who, takenAtMs, untilMs: state.kind === 'held' ? state.untilMs : nowMs };
  });
}
