/**
 * How the content of each disk is read: by export, which works everywhere, or over NBD by changed-block tracking, which
 * sends less. Every choice has its reason, for plan and report; a fall-back is another way to read, never a full.
 */
import type { JobDefinition } from './job';
import type { NbdFacts, Observation, ObservedDisk } from './observation';
import type { ChosenMethod, DiskCopy, Step } from './plan';

/** How a delta is read; `inBase` is the disk of the base's snapshot. */
export function methodOfDelta(nbd: NbdFacts | null, disk: ObservedDisk, inBase: ObservedDisk): ChosenMethod {
  if (nbd === null) return byExport('the job says so');
  // Where there is no other way to read, a broken line is a reason to try again and not for a full.
  const onlyWay = inBase.tracking === 'only';
  const failed = nbd.failed[disk.device]?.lasting === true ? nbd.failed : {};
  const judged = onlyWay ? { ...nbd, failed, unreached: {} } : nbd;
  const obstacle = whyNoNbd(judged, disk) ?? whyNotTracked(nbd, disk, inBase);
  if (obstacle !== null) return byExport(obstacle);
  return {
    method: 'nbd',
    methodBecause: `the blocks that changed since the base are listed; ${serversOf(nbd, disk).join(', ')} serves them`,
    ...(onlyWay ? { onlyWay } : {}),
  };
}

/** How a full is read. An export leaves out what was never written; over NBD the whole disk travels to us. */
export function methodOfFull(job: JobDefinition, nbd: NbdFacts | null, disk: ObservedDisk): ChosenMethod {
  if (nbd === null) return byExport('the job says so');
  if (job.transfer.method !== 'nbd')
    return byExport('a full leaves out what was never written, by export only');
  const obstacle = whyNoNbd(nbd, disk);
  return obstacle === null
    ? { method: 'nbd', methodBecause: 'the job says so; the whole disk is read, zeros too' }
    : byExport(obstacle);
}

/**
 * Why no delta can be read from a base of which only the list of changed blocks is left, or null where one can: an
 * export needs the data that was dropped.
 */
export function whyUnreadable(nbd: NbdFacts | null, disk: ObservedDisk, inBase: ObservedDisk): string | null {
  if (inBase.tracking !== 'only') return null;
  const { method, methodBecause } = methodOfDelta(nbd, disk, inBase);
  return method === 'nbd'
    ? null
    : `the data of the base's snapshot was dropped, and its changed blocks cannot be read over NBD: ${methodBecause}`;
}

/** Notes where an export is not what was hoped for. */
export function methodNotes(
  job: JobDefinition,
  nbd: NbdFacts | null,
  copies: readonly DiskCopy[],
): readonly string[] {
  if (nbd === null) return [];
  return copies.flatMap(({ kind, device, method, methodBecause }) => {
    const hoped = job.transfer.method === 'nbd' || (kind === 'delta' && nbd.purposes.includes('nbd'));
    return method === 'export' && hoped ? [`disk ${device} is read by export: ${methodBecause}`] : [];
  });
}

export interface PlannedTracking {
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
}

/** Turning changed-block tracking on, where the job asks for it; the run after the next one can use it. */
export function planEnabling(job: JobDefinition, { source }: Observation): PlannedTracking {
  if (!job.transfer.enableCbt) return { steps: [], notes: [] };
  const untracked = source.disks.filter(({ tracking }) => tracking === 'off');
  const judged = untracked.map((disk) => ({ disk, obstacle: whyNotEnabled(source.nbd, disk) }));
  const disks = judged.filter(({ obstacle }) => obstacle === null).map(({ disk }) => disk.vdi);
  return {
    steps: disks.length === 0 ? [] : [{ kind: 'enable-tracking', disks }],
    notes: judged.flatMap(({ disk, obstacle }) =>
      obstacle === null ? [] : [`changed-block tracking stays off on disk ${disk.device}: ${obstacle}`],
    ),
  };
}

/**
 * Dropping the data of this run's source snapshot, once it is committed. Only where the next run can do with the list of
 * changed blocks alone, for all disks of the VM: an export from such a base is impossible.
 */
export function planDropping(job: JobDefinition, observation: Observation): PlannedTracking {
  if (!job.transfer.dropSnapshotData) return { steps: [], notes: [] };
  const { nbd, disks } = observation.source;
  const obstacles = disks.flatMap((disk) => {
    const why = whyNotDropped(job, nbd, disk);
    return why === null ? [] : [`disk ${disk.device}: ${why}`];
  });
  return obstacles.length === 0
    ? {
        steps: [{ kind: 'drop-snapshot-data' }],
        notes: [
          'the data of the source snapshot is dropped at the end: it cannot be compared with the recovery point any ' +
            'more, and the next delta needs NBD and its list of changed blocks',
        ],
      }
    : { steps: [], notes: [`the data of the source snapshot is kept: ${obstacles.join('; ')}`] };
}

function whyNotDropped(job: JobDefinition, nbd: NbdFacts | null, disk: ObservedDisk): string | null {
  if (nbd === null) return 'the job reads by export, which needs it';
  const unread = whyNoNbd(nbd, disk);
  if (unread !== null) return unread;
  const mayNot = whyDenied(nbd, 'vdi.data_destroy');
  if (mayNot !== null) return mayNot;
  if (disk.tracking === 'on' && tracksChanges(nbd, disk)) return null;
  return job.transfer.enableCbt ? whyNotEnabled(nbd, disk) : 'changed-block tracking is off on it';
}

function whyNotEnabled(nbd: NbdFacts | null, disk: ObservedDisk): string | null {
  if (nbd === null) return 'the job reads by export';
  const unread = whyNoNbd(nbd, disk);
  if (unread !== null) return unread;
  if (!tracksChanges(nbd, disk)) return `the driver of SR "${disk.sr.name}" cannot track changed blocks`;
  return nbd.licensed ? whyDenied(nbd, 'vdi.enable_cbt') : "the source pool's licence rules it out";
}

/** What keeps the disk from being read over NBD at all. */
function whyNoNbd(nbd: NbdFacts, disk: ObservedDisk): string | null {
  const failed = nbd.failed[disk.device];
  if (failed !== undefined) return `NBD failed in this run: ${failed.reason}`;
  if (!nbd.known)
    return 'the source pool is older than XenServer 7.3, which brought changed-block tracking and NBD';
  if (!nbd.purposes.includes('nbd')) {
    return nbd.purposes.includes('insecure_nbd')
      ? 'the source pool serves NBD without encryption only (network purpose insecure_nbd), which is never used'
      : 'no network of the source pool has the purpose nbd';
  }
  const mayNot = whyDenied(nbd, 'vdi.get_nbd_info');
  if (mayNot !== null) return mayNot;
  const refusal = storageOf(nbd, disk)?.refusal ?? null;
  if (refusal !== null)
    return `the source pool does not say who serves SR "${disk.sr.name}" over NBD (${refusal})`;
  const servers = serversOf(nbd, disk);
  if (servers.length === 0)
    return `no host that sees SR "${disk.sr.name}" has an address on a network with purpose nbd`;
  const reasons = servers.flatMap((one) => {
    const reason = nbd.unreached[one];
    return reason === undefined ? [] : [`${one} (${reason})`];
  });
  return reasons.length < servers.length
    ? null
    : `this run could not reach it over NBD: ${reasons.join(', ')}`;
}

/** What keeps the changes between base and disk from being listed. */
function whyNotTracked(nbd: NbdFacts, disk: ObservedDisk, inBase: ObservedDisk): string | null {
  if (!tracksChanges(nbd, disk)) return `the driver of SR "${disk.sr.name}" cannot track changed blocks`;
  const mayNot = whyDenied(nbd, 'vdi.list_changed_blocks');
  if (mayNot !== null) return mayNot;
  if (disk.tracking === 'off') {
    const licence = nbd.licensed ? '' : ", and the source pool's licence rules it out";
    return `changed-block tracking is off on the disk${licence}`;
  }
  return inBase.tracking === 'off'
    ? 'changed-block tracking was turned on after the base was taken: the next delta can use it'
    : null;
}

function whyDenied({ denied }: NbdFacts, permission: string): string | null {
  return denied.includes(permission)
    ? `the account on the source pool lacks the permission ${permission} (role vm-admin has it)`
    : null;
}

function storageOf(nbd: NbdFacts, { sr }: ObservedDisk): NbdFacts['storages'][number] | undefined {
  return nbd.storages.find(({ srUuid }) => srUuid === sr.uuid);
}

function serversOf(nbd: NbdFacts, disk: ObservedDisk): readonly string[] {
  return storageOf(nbd, disk)?.servers ?? [];
}

function tracksChanges(nbd: NbdFacts, disk: ObservedDisk): boolean {
  return storageOf(nbd, disk)?.tracksChanges === true;
}

function byExport(methodBecause: string): ChosenMethod {
  return { method: 'export', methodBecause };
}
