/**
 * What Xen Orchestra's engine (0.74.2) would do in its next run of a job, told from both pools' records by its own
 * rules: which of the job's snapshots it takes as its base, and which disk on the target it finds for it. Calibrated
 * against recorded runs of the real engine; then asked about the states that we leave.
 */
type Config = Readonly<Record<string, string>>;

interface Vm {
  readonly uuid: string;
  readonly is_a_snapshot: boolean;
  readonly is_control_domain?: boolean;
  readonly power_state?: string;
  readonly other_config: Config;
  readonly VBDs: readonly string[];
}
interface Vdi {
  readonly uuid: string;
  readonly is_a_snapshot: boolean;
  readonly snapshot_of: string;
  readonly SR: string;
  readonly managed: boolean;
  readonly other_config: Config;
}
interface Vbd {
  readonly VM: string;
  readonly VDI: string;
  readonly type: string;
}

export interface Records {
  readonly VM: Readonly<Record<string, Vm>>;
  readonly VDI: Readonly<Record<string, Vdi>>;
  readonly VBD: Readonly<Record<string, Vbd>>;
}

export type NextRun = 'full' | 'delta in place' | 'delta into a new replica';

export interface XoJob {
  readonly job: string;
  readonly vm: string;
}

type Row = readonly [ref: string, vdi: Vdi];

const identity = ['xo:backup:datetime', 'xo:backup:job', 'xo:backup:vm'] as const;

export function nextRunOfXo(source: Records, target: Records, wanted: XoJob): NextRun {
  const live = Object.values(source.VM).find(({ uuid }) => uuid === wanted.vm);
  const disks = new Set(live === undefined ? [] : disksOf(source, live));
  const snapshots = Object.entries(source.VDI).filter(
    ([, vdi]) => vdi.is_a_snapshot && vdi.managed && disks.has(vdi.snapshot_of),
  );
  const ofJob = wholeVms(
    source,
    snapshots.filter(([ref, vdi]) => isOfJob(source, ref, vdi, wanted)),
  );
  const exported = ofJob.filter(([, { other_config: config }]) => config['xo:backup:exported'] === 'true');
  for (const group of [newest(exported), ...byTime(snapshots)]) {
    const found = lookUp(source, target, wanted, group);
    if (found !== null) return found;
  }
  return 'full';
}

/** The job's, not attached to anything but VM snapshots that bear the same keys. */
function isOfJob(pool: Records, ref: string, { other_config: config }: Vdi, wanted: XoJob): boolean {
  if (config['xo:backup:job'] !== wanted.job || config['xo:backup:vm'] !== wanted.vm) return false;
  if (config['xo:copy_of'] !== undefined) return false;
  const users = usersOf(pool, ref);
  return (
    users.length <= 1 &&
    users.every((vm) => vm.is_a_snapshot && identity.every((key) => vm.other_config[key] === config[key]))
  );
}

/** A VM snapshot counts only if all of its disks do. */
function wholeVms(pool: Records, rows: readonly Row[]): readonly Row[] {
  const listed = new Set(rows.map(([ref]) => ref));
  return rows.filter(([ref]) =>
    usersOf(pool, ref).every((vm) => disksOf(pool, vm).every((disk) => listed.has(disk))),
  );
}

/** Where the target has a copy of these source disks, and whether it can be updated in place. */
function lookUp(source: Records, target: Records, wanted: XoJob, group: readonly Row[]): NextRun | null {
  const snapshots = group.flatMap(([, vdi]) => snapshotOnTarget(source, target, wanted, vdi) ?? []);
  if (snapshots.length === 0) {
    const oldStyle = group.some(([, { uuid }]) =>
      Object.values(target.VDI).some(
        (vdi) => vdi.managed && !vdi.is_a_snapshot && vdi.other_config['xo:copy_of'] === uuid,
      ),
    );
    return oldStyle ? 'delta into a new replica' : null;
  }
  return snapshots.every((vdi) => isUntouched(target, vdi)) ? 'delta in place' : 'delta into a new replica';
}

function snapshotOnTarget(source: Records, target: Records, wanted: XoJob, disk: Vdi): Vdi | undefined {
  const candidates = Object.values(target.VDI).filter((vdi) => vdi.managed && vdi.is_a_snapshot);
  const key = disk.other_config['xo:backup:contentKey'];
  const byKey = candidates.find(
    (vdi) =>
      key !== undefined &&
      vdi.other_config['xo:backup:contentKey'] === key &&
      source.VDI[vdi.snapshot_of] === undefined,
  );
  return (
    byKey ??
    candidates.find(
      ({ other_config: config }) =>
        config['xo:backup:job'] === wanted.job &&
        config['xo:backup:vm'] === wanted.vm &&
        config['xo:copy_of'] === disk.uuid,
    )
  );
}

/** The disk it was taken of is a halted VM's alone, and holds the same: the storage gave both one content id. */
function isUntouched(pool: Records, snapshot: Vdi): boolean {
  const live = pool.VDI[snapshot.snapshot_of];
  const users = usersOf(pool, snapshot.snapshot_of);
  return (
    live !== undefined &&
    users.length === 1 &&
    users.every(({ power_state: power }) => power === 'Halted') &&
    live.other_config['content_id'] === snapshot.other_config['content_id']
  );
}

function newest(rows: readonly Row[]): readonly Row[] {
  return byTime(rows)[0] ?? [];
}

/** Grouped by the time in their keys, newest first; without one they are nothing to Xen Orchestra. */
function byTime(rows: readonly Row[]): readonly (readonly Row[])[] {
  const time = ([, { other_config: config }]: Row): string => config['xo:backup:datetime'] ?? '';
  const times = [...new Set(rows.map(time))].filter((one) => one !== '').sort();
  return times.reverse().map((one) => rows.filter((row) => time(row) === one));
}

function usersOf(pool: Records, vdiRef: string): readonly Vm[] {
  return Object.values(pool.VBD).flatMap((vbd) => {
    const vm = vbd.VDI === vdiRef ? pool.VM[vbd.VM] : undefined;
    return vm === undefined || vm.is_control_domain === true ? [] : [vm];
  });
}

function disksOf(pool: Records, vm: Vm): readonly string[] {
  return vm.VBDs.flatMap((ref) => {
    const vbd = pool.VBD[ref];
    return vbd?.type === 'Disk' ? [vbd.VDI] : [];
  });
}
