/**
 * Whether a chain that Xen Orchestra made is gone on with. Its keys are judged by the measure of our own commits, and
 * since its engine can report success over a copy that lacks blocks, no keys are enough: the content is compared
 * before the first byte is sent on top of it.
 */
import { committedPoints } from './base';
import type { JobDefinition } from './job';
import { sameUuid } from './keys';
import type { ObjectId, Observation, XoReplica, XoSnapshot } from './observation';
import type { AdoptPlan, BlockedPlan, XoPair } from './plan';
import { isUnfinished } from './xo-keys';

export type ChainJudgement =
  /** Nothing of Xen Orchestra's stands under the job's id, or nothing newer than what is ours. */
  | { readonly kind: 'none' }
  | { readonly kind: 'in-transfer'; readonly replica: ObjectId; readonly mark: string }
  | { readonly kind: 'refused'; readonly replicas: readonly ObjectId[]; readonly reasons: readonly string[] }
  | {
      readonly kind: 'sound';
      readonly pair: XoPair;
      /** True where this run has compared the content. */
      readonly compared: boolean;
      readonly notes: readonly string[];
    };

interface Judged {
  readonly replica: XoReplica;
  readonly point: XoSnapshot;
  readonly snapshot: XoSnapshot;
}

export function judgeChain(job: JobDefinition, observation: Observation): ChainJudgement {
  const known = observation.target.replica;
  const replicas = observation.xo.replicas
    .filter(({ id }) => known === null || id.uuid === known.id.uuid)
    .sort((a, b) => (a.id.uuid < b.id.uuid ? -1 : 1));
  const busy = replicas.find(({ transfer }) => transfer !== null);
  if (busy !== undefined) {
    return { kind: 'in-transfer', replica: busy.id, mark: busy.transfer ?? '' };
  }
  const ourNewestMs = committedPoints(job, known)[0]?.commit.takenAtMs ?? -1;
  const reasons: string[] = [];
  const sound: Judged[] = [];
  for (const replica of replicas) {
    const found = judgeReplica(job, observation, replica);
    if (typeof found === 'string') reasons.push(found);
    else if (found.snapshot.takenAtMs > ourNewestMs) sound.push(found);
  }
  sound.sort((a, b) => b.snapshot.takenAtMs - a.snapshot.takenAtMs);
  const [best, second] = sound;
  if (best === undefined) {
    if (reasons.length === 0) return { kind: 'none' };
    return { kind: 'refused', replicas: replicas.map(({ id }) => id), reasons };
  }
  if (second?.snapshot.takenAtMs === best.snapshot.takenAtMs) {
    const ids = [best.replica.id, second.replica.id];
    const reason = `replicas ${ids.map(quoted).join(' and ')} are both copies of the newest snapshot`;
    return { kind: 'refused', replicas: ids, reasons: [reason] };
  }
  const compared = observation.xo.verdicts.some(({ point }) => point === best.point.id.uuid);
  return { kind: 'sound', pair: pairOf(best), compared, notes: notesOf(job, observation, best) };
}

/** The plan that takes the chain over, or the refusal; null where neither is called for. */
export function planAdoption(job: JobDefinition, observation: Observation): AdoptPlan | BlockedPlan | null {
  const { source, target } = observation;
  const judged = judgeChain(job, observation);
  switch (judged.kind) {
    case 'none':
      return null;
    case 'in-transfer': {
      const conflict = { kind: 'foreign-transfer', replica: judged.replica, mark: judged.mark } as const;
      return { kind: 'blocked', vm: source.vm, conflicts: [conflict] };
    }
    case 'refused': {
      // A replica of our own has a base of its own, or its lack is a conflict that says so.
      if (target.replica !== null || job.onMissingBase === 'full') return null;
      const { replicas, reasons } = judged;
      return { kind: 'blocked', vm: source.vm, conflicts: [{ kind: 'chain-refused', replicas, reasons }] };
    }
    case 'sound': {
      const { pair, compared, notes } = judged;
      const verify = job.transfer.verify === 'full' ? 'full' : 'sampled';
      return {
        kind: 'adopt',
        vm: source.vm,
        because: `Xen Orchestra made recovery point ${quoted(pair.point)} under the id of this job`,
        replica: pair.replica,
        notes,
        steps: [compared ? { kind: 'adopt-chain', pair } : { kind: 'compare-chain', pair, verify }],
      };
    }
  }
}

/** The newest pair of this replica, or why there is none. */
function judgeReplica(job: JobDefinition, observation: Observation, replica: XoReplica): Judged | string {
  if (replica.points.length === 0) {
    return (
      `replica ${quoted(replica.id)} has no recovery point: the keys stand on the VM itself, as the seed tool of ` +
      'Xen Orchestra leaves them'
    );
  }
  if (replica.powerState !== 'Halted') {
    return `replica ${quoted(replica.id)} is ${replica.powerState}, must be Halted`;
  }
  const points = [...replica.points].sort(
    (a, b) => compare(b.keys.datetime ?? '', a.keys.datetime ?? '') || compare(a.id.uuid, b.id.uuid),
  );
  const reasons: string[] = [];
  for (const point of points) {
    const judged = judgePoint(job, observation, replica, point);
    if (typeof judged !== 'string') return { replica, point, snapshot: judged };
    reasons.push(`recovery point ${quoted(point.id)}: ${judged}`);
  }
  return reasons.join('; ');
}

/** Its source snapshot, or why the two are no base. */
function judgePoint(
  job: JobDefinition,
  { source, target, xo }: Observation,
  replica: XoReplica,
  point: XoSnapshot,
): XoSnapshot | string {
  const unsound = unsoundPoint(replica, point, target.sr.uuid);
  if (unsound !== null) return unsound;
  const snapshot = xo.snapshots.find(({ id }) => id.uuid === point.keys.copyOf);
  if (snapshot === undefined) return `its source snapshot ${point.keys.copyOf ?? ''} is gone`;
  const unfit = unfitSnapshot(job, source.vm, snapshot, point) ?? unpaired(snapshot, point);
  if (unfit !== null) return unfit;
  const difference = xo.verdicts.find((verdict) => verdict.point === point.id.uuid)?.difference ?? null;
  return difference === null ? snapshot : `its content is not that of its source snapshot: ${difference}`;
}

function unsoundPoint(replica: XoReplica, { keys, disks }: XoSnapshot, srUuid: string): string | null {
  if (isUnfinished(keys)) return 'it bears the 1970 marker of an unfinished copy';
  const missing = missingKeys({ ...keys, copy_of: keys.copyOf }, [
    'job',
    'schedule',
    'vm',
    'datetime',
    'sr',
    'copy_of',
  ]);
  if (missing !== null) return missing;
  if (disks.length === 0) return 'it has no disk';
  for (const disk of disks) {
    const name = `disk ${disk.device}`;
    if (!disk.isSnapshot) return `${name} is no snapshot`;
    const live = replica.disks.find(({ device }) => device === disk.device);
    if (live === undefined || disk.snapshotOf !== live.vdi.uuid) {
      return `${name} is a snapshot of another disk than the replica's`;
    }
    if (!sameUuid(disk.sr.uuid, srUuid)) return `${name} is on SR ${quoted(disk.sr)}, not on the job's`;
    if (disk.raw) return `${name} is no VHD`;
    if (disk.keys.copyOf === null) return `${name} lacks the key xo:copy_of`;
    if (!sameCopy(disk.keys, keys)) return `the keys of ${name} are of another copy than those of its VM`;
    const { contentKey, copyOf } = disk.keys;
    if (contentKey !== null && contentKey !== copyOf) return `${name} has the content key of another disk`;
  }
  return null;
}

function unfitSnapshot(
  job: JobDefinition,
  vm: ObjectId,
  { id, keys, disks }: XoSnapshot,
  point: XoSnapshot,
): string | null {
  const name = `source snapshot ${quoted(id)}`;
  if (!keys.exported) return `${name} is not marked as exported: the transfer did not end`;
  if (keys.job === null || !sameUuid(keys.job, job.jobId) || keys.vm !== vm.uuid) {
    return `${name} bears the keys of another job or VM`;
  }
  if (!sameCopy(keys, point.keys)) return `${name} bears the keys of another copy`;
  const bare = disks.find((disk) => disk.keys.datetime === null);
  if (bare !== undefined) return `disk ${bare.device} of ${name} bears no keys`;
  const odd = disks.find((disk) => !disk.keys.exported || !sameCopy(disk.keys, keys));
  return odd === undefined
    ? null
    : `the keys of disk ${odd.device} of ${name} are not those of a finished copy`;
}

/** Every disk of one side has its partner on the other, at the same position and of the same size. */
function unpaired(snapshot: XoSnapshot, point: XoSnapshot): string | null {
  for (const disk of snapshot.disks) {
    const partner = point.disks.find(({ device }) => device === disk.device);
    if (partner === undefined) return `it has no disk ${disk.device}, its source snapshot has`;
    if (!disk.isSnapshot) return `disk ${disk.device} of its source snapshot is no snapshot`;
    if (partner.keys.copyOf !== disk.vdi.uuid) return `disk ${disk.device} is a copy of another disk`;
    if (partner.sizeBytes !== disk.sizeBytes) {
      return `disk ${disk.device} has ${String(partner.sizeBytes)} bytes, its source ${String(disk.sizeBytes)}`;
    }
  }
  const extra = point.disks.find(({ device }) => snapshot.disks.every((disk) => disk.device !== device));
  return extra === undefined ? null : `it has disk ${extra.device}, its source snapshot has not`;
}

type CopyKeys = Pick<XoSnapshot['keys'], 'job' | 'vm' | 'datetime'>;

function sameCopy(one: CopyKeys, other: CopyKeys): boolean {
  return one.job === other.job && one.vm === other.vm && one.datetime === other.datetime;
}

function missingKeys(
  keys: Readonly<Record<string, string | boolean | null>>,
  needed: readonly string[],
): string | null {
  const missing = needed.filter((name) => keys[name] === null);
  if (missing.length === 0) return null;
  return `it lacks ${missing.map((name) => (name === 'copy_of' ? 'xo:copy_of' : `xo:backup:${name}`)).join(', ')}`;
}

function pairOf({ replica, point, snapshot }: Judged): XoPair {
  return {
    replica: replica.id,
    point: point.id,
    sourceSnapshot: snapshot.id,
    takenAtMs: snapshot.takenAtMs,
    disks: snapshot.disks.flatMap(({ device, vdi, sr, sizeBytes }) => {
      const partner = point.disks.find((disk) => disk.device === device);
      return partner === undefined
        ? []
        : [{ device, pointVdi: partner.vdi, sourceVdi: vdi, sourceSr: sr, sizeBytes }];
    }),
  };
}

/** What stays as Xen Orchestra left it: nothing of it is destroyed here, so somebody must know. */
function notesOf(
  job: JobDefinition,
  { xo }: Observation,
  { replica, point, snapshot }: Judged,
): readonly string[] {
  const older = replica.points.filter(({ id }) => id.uuid !== point.id.uuid).map(({ id }) => id);
  const unused = xo.snapshots
    .filter(
      ({ id, keys }) => id.uuid !== snapshot.id.uuid && keys.job !== null && sameUuid(keys.job, job.jobId),
    )
    .map(({ id }) => id);
  const others = xo.replicas.filter(({ id }) => id.uuid !== replica.id.uuid).map(({ id }) => id);
  const stays = (what: string, objects: readonly ObjectId[]): readonly string[] =>
    objects.length === 0
      ? []
      : [`left to you, for they are Xen Orchestra's: ${what} ${objects.map(quoted).join(', ')}`];
  const { schedule } = point.keys;
  return [
    ...(schedule !== null && !sameUuid(schedule, job.scheduleId)
      ? [
          `Xen Orchestra's schedule was ${schedule}, this job's is ${job.scheduleId}: its retention goes by that id`,
        ]
      : []),
    ...stays('older recovery points', older),
    ...stays('source snapshots', unused),
    ...stays('other replicas', others),
  ];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function quoted({ name, uuid }: ObjectId): string {
  return `"${name}" (${uuid})`;
}
