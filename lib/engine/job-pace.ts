/** How fast bytes may move for a job: by its limits, and by how busy the hosts are where it gives way to them. */
import type { Pool, VmRecord } from '../xapi';
import { bandwidthAt, bandwidthByMinute } from '../planner/bandwidth';
import type { RateLimits } from '../planner/bandwidth';
import type { Clock } from './context';
import { Pace } from './data/pace';
import type { NiceEvent, RateEvent } from './events';
import { NiceKeeper, vcpusOfControlDomains } from './nice';

export interface PaceParts {
  readonly limits: RateLimits;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: (event: NiceEvent) => void;
}

export interface JobPace {
  readonly pace: Pace;
  /** Null where the job does not give way to busy hosts. */
  readonly nice: NiceKeeper | null;
}

/**
 * @param source null where it is not read: then there is nobody to give way to
 * @param vms of the source pool, control domains included; asked for only where the job is nice
 */
export async function paceOf(
  { limits, clock, signal, emit }: PaceParts,
  source: Pick<Pool, 'call'> | null,
  vms: (source: Pick<Pool, 'call'>) => Promise<readonly VmRecord[]>,
): Promise<JobPace> {
  const limitAt = bandwidthByMinute(limits);
  if (!limits.nice || source === null) return { pace: new Pace(limitAt, clock), nice: null };
  const vcpus = vcpusOfControlDomains(await vms(source));
  const nice = new NiceKeeper({ source, vcpus, limitAt, clock, signal, emit });
  const pace = new Pace(
    (nowMs) => nice.limitAt(nowMs),
    clock,
    (bytes, nowMs) => nice.passed(bytes, nowMs),
  );
  return { pace, nice };
}

/** For who reads disks for a job without being a run of it: tells how fast, since nobody looks for limits there. */
export async function readingPace(
  parts: Omit<PaceParts, 'emit'> & { readonly emit: (event: NiceEvent | RateEvent) => void },
  source: Pick<Pool, 'call'> | null,
): Promise<JobPace> {
  const { limits, clock, signal, emit } = parts;
  const pacing = await paceOf(parts, source, async (pool) =>
    Object.values(await pool.call('VM.get_all_records', [], { signal })),
  );
  const bytesPerSecond = bandwidthAt(limits, clock.nowMs());
  const windows = limits.windows.length > 0;
  const nice = pacing.nice !== null;
  if (bytesPerSecond !== null || windows || nice)
    emit({ kind: 'reading-rate', bytesPerSecond, windows, nice });
  return pacing;
}
