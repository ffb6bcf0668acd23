/**
 * How far a run gives way while a host that it reads from is busy. Bytes go slower at once and faster again bit by bit, as
 * on a shared line: many that give way at once must not all come back at once.
 */

/**
 * Load average of a control domain for each of its vCPUs. Above the first it has more to do than it can, and its guests
 * wait for their disks and networks; below the second there is room. In between nothing changes, or a run would swing.
 */
export const niceLoad = { busyAbove: 1, calmBelow: 0.7 } as const;

/** What a plan says of it. */
export const niceNote =
  'nice: goes slower, down to a tenth, while the control domain of a source host that disks are read from has a load above ' +
  `${String(niceLoad.busyAbove)} per vCPU; looked at every 15 s while bytes move`;

/** A load average is that of a minute: what slowing down has done shows late, so each step waits for the one before. */
const decreaseEveryMs = 30_000;
const decreaseTo = 0.5;
const recoverBy = 1.25;
/** A tenth of what it was: a run takes ten times as long at worst, and never stands still. */
const floorShare = 0.1;
const floorBytesPerSecond = 1024 ** 2;

export interface Nice {
  /** What bytes may be moved at in a second; null: it does not give way. */
  readonly bytesPerSecond: number | null;
  /** What they moved at before it began to give way: once it is back there, it does not give way any more. */
  readonly beforeBytesPerSecond: number | null;
  readonly decreasedAtMs: number | null;
}

export const notGivingWay: Nice = { bytesPerSecond: null, beforeBytesPerSecond: null, decreasedAtMs: null };

export interface NiceSample {
  readonly atMs: number;
  /** Of the busiest host that is read from; null: none of them says. */
  readonly loadPerVcpu: number | null;
  /** What bytes moved at since the last sample; null where too few did. */
  readonly movedBytesPerSecond: number | null;
  /** What the job allows at this time; null: no limit. */
  readonly limitBytesPerSecond: number | null;
}

/** What follows from one look at the hosts. A host that says nothing is no reason to stay slow. */
export function giveWay(now: Nice, sample: NiceSample): Nice {
  const { loadPerVcpu } = sample;
  if (loadPerVcpu === null || loadPerVcpu < niceLoad.calmBelow) return recovered(now);
  return loadPerVcpu > niceLoad.busyAbove ? decreased(now, sample) : now;
}

/** What bytes may be moved at in a second, by the job's limit and by this; null: as many as there are. */
export function niceRate({ bytesPerSecond }: Nice, limitBytesPerSecond: number | null): number | null {
  if (bytesPerSecond === null) return limitBytesPerSecond;
  return limitBytesPerSecond === null ? bytesPerSecond : Math.min(bytesPerSecond, limitBytesPerSecond);
}

/** The least that is left of a rate. A line that is slower than that anyway is nobody's trouble. */
export function niceFloor(beforeBytesPerSecond: number): number {
  return Math.min(beforeBytesPerSecond, Math.max(floorBytesPerSecond, beforeBytesPerSecond * floorShare));
}

function decreased(now: Nice, { atMs, movedBytesPerSecond, limitBytesPerSecond }: NiceSample): Nice {
  if (movedBytesPerSecond === null || movedBytesPerSecond <= 0) return now;
  if (now.decreasedAtMs !== null && atMs - now.decreasedAtMs < decreaseEveryMs) return now;
  const before = now.beforeBytesPerSecond ?? Math.min(movedBytesPerSecond, limitBytesPerSecond ?? Infinity);
  // From what really moves: half of a limit that nothing reaches would change nothing.
  const current = Math.min(now.bytesPerSecond ?? Infinity, movedBytesPerSecond, before);
  return {
    bytesPerSecond: Math.max(niceFloor(before), current * decreaseTo),
    beforeBytesPerSecond: before,
    decreasedAtMs: atMs,
  };
}

function recovered(now: Nice): Nice {
  const { bytesPerSecond, beforeBytesPerSecond } = now;
  if (bytesPerSecond === null || beforeBytesPerSecond === null) return now;
  const faster = bytesPerSecond * recoverBy;
  return faster >= beforeBytesPerSecond ? notGivingWay : { ...now, bytesPerSecond: faster };
}
