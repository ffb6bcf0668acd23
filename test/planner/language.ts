/**
 * A tiny language for what the planner sees, so that a case is a line:
 *
 *     vm 0:root 1:data*2; snapshot S1 0:root 1:data*2 =P1; replica R 0:r0 1:r1; point P1 0 1 ~S1
 *
 * The VM has the disks `root` (device 0, 1 GiB) and `data` (device 1, 2 GiB). Its snapshot S1 has a snapshot of each,
 * `S1.0` and `S1.1`, and is committed for recovery point P1. The replica R has r0 and r1. Its recovery point P1 has
 * `P1.0` and `P1.1`, equal to the disks of S1. Numbers in names are times: P2 was committed after P1.
 *
 *     0:root/28      its chain has 28 layers     0/28~2      two of them are about to be merged
 *     0:root*3@nfs   size in GiB, SR          #raw #shared    raw disk; snapshot that shares the VM's own disk
 *     0:swap#NOBAK   excluded by its name
 *     0:r0+ 0:r0?    written to; not known    0^              bears Xen Orchestra's content key
 *     !copied …      the commit is spoiled in the way named (see `spoilSource`, `spoilTarget`, `swapOf`)
 *     swap 0:r0>n0 1:>n1 x2:r2 ~S2 gone:n0 written:n1 used:n1
 *     leftover disk staged target *3;  target thick free=9 unzeroed raw;  missing vm.clone
 *     leftover disk staged target 0 ~S2 on=P1.0 at=1/2    disk 0 of S2, cloned from P1.0 (absent: new and empty),
 *                                                         filled up to 1 GiB, offered up to 2; or `done`; `written` to since
 */
import { exclusionMark } from '../../lib/planner/excluded';
import type { Found, RunMark, SourceCommit, SwapRecord, TargetCommit } from '../../lib/planner/keys';
import type {
  AnnouncedDisk,
  Leftover,
  ObjectId,
  Observation,
  ObservedDisk,
  RecoveryPoint,
  ReplicaDisk,
  SourceSnapshot,
} from '../../lib/planner/observation';
import { replicaNamed, sourceVm, targetOf } from './literals';

export const gib = 1024 ** 3;

interface DiskWord {
  readonly device: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly sr: string | null;
  readonly layers: number;
  readonly merges: number;
  readonly flags: string;
}

export function id(name: string): ObjectId {
  return { ref: `ref:${name}`, uuid: name, name };
}

/** The observation that the text describes. */
export function observed(text: string): Observation {
  const lines = text
    .split(/[;\n]/)
    .map((line) => line.trim().split(/\s+/))
    .filter(([first]) => first !== '');
  const of = (kind: string): readonly (readonly string[])[] =>
    lines.filter(([first]) => first === kind).map(([, ...words]) => words);
  const known = 'vm snapshot replica point swap leftover target missing rival'.split(' ');
  const odd = lines.find(([first]) => !known.includes(first ?? ''));
  if (odd !== undefined) throw new Error(`not a line of this language: ${odd.join(' ')}`);
  const points = of('point').map(toPoint);
  const [replica] = of('replica');
  const [swap] = of('swap');
  const [vm] = of('vm');
  return {
    run: 'run-now',
    xo: { snapshots: [], replicas: [], verdicts: [] },
    source: {
      ...sourceVm,
      disks: disksIn(vm ?? [])
        .map(liveDisk)
        .filter(isIncluded),
      excluded: disksIn(vm ?? [])
        .map(liveDisk)
        .filter((disk) => !isIncluded(disk)),
      snapshots: of('snapshot').map(toSnapshot),
      replicaOf: vm?.includes('!replica') === true ? 'gold' : null,
    },
    target: {
      ...targetOf(of('target').flat()),
      replica: replica === undefined ? null : toReplica(replica, points, swap),
      rivals: of('rival').flat().map(id),
    },
    leftovers: of('leftover').map(toLeftover),
    missingPermissions: of('missing').flat(),
  };
}

const diskWord = /^(\d+)(?::([\w.-]+))?(?:\*(\d+))?(?:@([\w-]+))?(?:\/(\d+)(?:~(\d+))?)?((?:[?+^]|#\w+)*)$/;

function disksIn(words: readonly string[]): readonly DiskWord[] {
  return words.flatMap((word) => {
    const match = diskWord.exec(word);
    const [, device, name, size, sr, layers, merges, flags] = match ?? [];
    return device === undefined
      ? []
      : [
          {
            device,
            name: name ?? '',
            sizeBytes: Number(size ?? 1) * gib,
            sr: sr ?? null,
            layers: Number(layers ?? 1),
            merges: Number(merges ?? 0),
            flags: flags ?? '',
          },
        ];
  });
}

/** Content ids are named after the disk; a disk that was written to has another one. */
function contentId(vdi: string, written: boolean): string {
  return `content of ${vdi}${written ? ', changed' : ''}`;
}

function liveDisk({ device, name: plain, sizeBytes, sr, layers, merges, flags }: DiskWord): ObservedDisk {
  const [, mark] = /#(NOBAK|NOREPL)/.exec(flags) ?? [];
  const name = mark === undefined ? plain : `${plain}[${mark}]`;
  return {
    device,
    vdi: id(name),
    sizeBytes,
    bootable: device === '0',
    isSnapshot: false,
    snapshotOf: null,
    contentId: contentId(name, flags.includes('+')),
    contentKey: null,
    sr: id(sr ?? 'sr-source'),
    raw: flags.includes('#raw'),
    tracking: flags.includes('#only') ? 'only' : flags.includes('#cbt') ? 'on' : 'off',
    allocatedBytes: sizeBytes / 2,
    chain: Array.from({ length: layers }, (_, layer) => ({
      uuid: layer === 0 ? name : `${name} parent ${String(layer)}`,
      physicalBytes: 0,
      mergePending: layer >= layers - merges,
    })),
  };
}

/** `#NOBAK` and `#NOREPL` stand for the marks in a disk's name. */
function isIncluded({ vdi }: ObservedDisk): boolean {
  return exclusionMark(vdi.name) === null;
}

function snapshotDisk(owner: string, disk: DiskWord): ObservedDisk {
  const name = `${owner}.${disk.device}`;
  if (disk.flags.includes('#shared')) return liveDisk({ ...disk, name });
  return {
    ...liveDisk({ ...disk, name }),
    isSnapshot: true,
    snapshotOf: disk.name === '' ? null : disk.name,
    contentKey: disk.flags.includes('^') ? 'a source disk' : null,
  };
}

function replicaDisk(disk: DiskWord): ReplicaDisk {
  const changed = disk.flags.includes('+') ? 'yes' : disk.flags.includes('?') ? 'unknown' : 'no';
  return { ...liveDisk({ ...disk, sr: 'sr' }), changed };
}

function timeOf(name: string): number {
  return Number(/\d+/.exec(name)?.[0] ?? 0) * 1000;
}

function wordAfter(mark: string, words: readonly string[]): string | null {
  return words.find((word) => word.startsWith(mark))?.slice(mark.length) ?? null;
}

function toSnapshot(words: readonly string[]): SourceSnapshot {
  const name = words[0] ?? '';
  const disks = disksIn(words.slice(1)).map((disk) => snapshotDisk(name, disk));
  const point = wordAfter('=', words);
  const commit: SourceCommit = {
    v: 1,
    self: name,
    job: 'gold',
    run: `run-${String(timeOf(name) / 1000)}`,
    sr: 'sr',
    point: point ?? '',
    replica: 'R',
    committedAtMs: timeOf(name),
    disks: disks.map(({ device, vdi }) => ({ device, vdi: vdi.uuid, pointVdi: `${point ?? ''}.${device}` })),
  };
  return {
    id: id(name),
    takenAtMs: timeOf(name),
    disks,
    commit: point === null ? { kind: 'absent' } : spoilSource(commit, wordAfter('!', words)),
    runMark: runMarkOf(name, wordAfter('run', words)),
    otherCommits: words.includes('also') ? ['xenrepl:commit:silver:sr'] : [],
  };
}

/** `run` marks a snapshot of a run that died; `run!job` and `run!sr` one of another job or target, `run!now` one of this run. */
function runMarkOf(self: string, word: string | null): Found<RunMark> {
  if (word === null) return { kind: 'absent' };
  const [job, sr] = [word === '!job' ? 'silver' : 'gold', word === '!sr' ? 'another SR' : 'sr'];
  const run = word === '!now' ? 'run-now' : 'run-dead';
  return { kind: 'own', record: { v: 1, self, job, run, sr } };
}

function spoilSource(commit: SourceCommit, how: string | null): Found<SourceCommit> {
  const [first, ...rest] = commit.disks;
  switch (how) {
    case null:
      return { kind: 'own', record: commit };
    case 'copied':
      return { kind: 'copied', record: { ...commit, self: 'another snapshot' } };
    case 'unreadable':
      return { kind: 'unreadable', reason: 'not JSON' };
    case 'job':
      return { kind: 'own', record: { ...commit, job: 'silver' } };
    case 'sr':
      return { kind: 'own', record: { ...commit, sr: 'another SR' } };
    case 'point':
      return { kind: 'own', record: { ...commit, point: 'another point' } };
    case 'replica':
      return { kind: 'own', record: { ...commit, replica: 'another replica' } };
    case 'pair':
      return {
        kind: 'own',
        record: { ...commit, disks: first === undefined ? [] : [{ ...first, pointVdi: 'other' }, ...rest] },
      };
    default:
      throw new Error(`no way to spoil a source commit: ${how}`);
  }
}

function toPoint(words: readonly string[]): RecoveryPoint {
  const name = words[0] ?? '';
  const disks = disksIn(words.slice(1)).map((disk) => snapshotDisk(name, disk));
  const snapshot = wordAfter('~', words);
  const commit: TargetCommit = {
    v: 1,
    self: name,
    job: 'gold',
    run: `run-${String(timeOf(snapshot ?? '') / 1000)}`,
    sourceVm: 'vm',
    sourceSnapshot: snapshot ?? '',
    replica: 'R',
    sr: 'sr',
    kind: 'full',
    takenAtMs: timeOf(name),
    committedAtMs: timeOf(name),
    disks: disks.map(({ device, vdi, sizeBytes }) => ({
      device,
      vdi: vdi.uuid,
      sourceVdi: `${snapshot ?? ''}.${device}`,
      sizeBytes,
      digest: null,
      contentId: contentId(vdi.uuid, false),
    })),
  };
  return {
    id: id(name),
    takenAtMs: timeOf(name),
    disks,
    commit: snapshot === null ? { kind: 'absent' } : spoilTarget(commit, wordAfter('!', words)),
    verified: { kind: 'absent' },
  };
}

function spoilTarget(commit: TargetCommit, how: string | null): Found<TargetCommit> {
  const gone = { device: '9', vdi: 'a disk that is gone', sourceVdi: 'S.9', sizeBytes: gib, digest: null };
  switch (how) {
    case null:
      return { kind: 'own', record: commit };
    case 'copied':
      return { kind: 'copied', record: { ...commit, self: 'another point' } };
    case 'unreadable':
      return { kind: 'unreadable', reason: 'not JSON' };
    case 'job':
      return { kind: 'own', record: { ...commit, job: 'silver' } };
    case 'sr':
      return { kind: 'own', record: { ...commit, sr: 'another SR' } };
    case 'SR':
      return { kind: 'own', record: { ...commit, sr: commit.sr.toUpperCase() } };
    case 'replica':
      return { kind: 'own', record: { ...commit, replica: 'another replica' } };
    case 'vm':
      return { kind: 'own', record: { ...commit, sourceVm: 'another VM' } };
    case 'gone':
      return { kind: 'own', record: { ...commit, disks: [...commit.disks, gone] } };
    default:
      throw new Error(`no way to spoil a target commit: ${how}`);
  }
}

function toReplica(
  words: readonly string[],
  points: readonly RecoveryPoint[],
  swapWords: readonly string[] | undefined,
): Observation['target']['replica'] {
  const power = words.find((word) => ['Running', 'Suspended', 'Paused'].includes(word)) ?? 'Halted';
  const announcement = swapWords === undefined ? null : swapOf(swapWords);
  return {
    ...replicaNamed(words[0] ?? ''),
    powerState: power,
    disks: disksIn(words.slice(1)).map(replicaDisk),
    points,
    swap: announcement?.swap ?? { kind: 'absent' },
    announced: announcement?.announced ?? [],
    foreignTransfer: words.includes('importing') ? 'Xen Orchestra: VM named "[Importing…] db1"' : null,
  };
}

function swapOf(words: readonly string[]): {
  readonly swap: Found<SwapRecord>;
  readonly announced: readonly AnnouncedDisk[];
} {
  const snapshot = wordAfter('~', words) ?? 'S0';
  const record: SwapRecord = {
    v: 1,
    self: 'R',
    job: 'gold',
    run: wordAfter('by=', words) ?? `run-${String(timeOf(snapshot) / 1000)}`,
    sourceVm: 'vm',
    sourceSnapshot: snapshot,
    sr: 'sr',
    kind: 'delta',
    takenAtMs: timeOf(snapshot),
    disks: words.flatMap((word) => {
      const [, device, oldVdi, newVdi] = /^(\d+):(\w*)>(\w+)$/.exec(word) ?? [];
      if (device === undefined || newVdi === undefined) return [];
      const old = oldVdi === undefined || oldVdi === '' ? null : oldVdi;
      return [
        {
          device,
          oldVdi: old,
          oldContentId: old === null ? null : contentId(old, false),
          newVdi,
          newContentId: contentId(newVdi, false),
          sourceVdi: `${snapshot}.${device}`,
          sizeBytes: gib,
          bootable: device === '0',
          digest: 'sha256:00',
        },
      ];
    }),
    removed: words.flatMap((word) => {
      const [, device, oldVdi] = /^x(\d+):(\w+)$/.exec(word) ?? [];
      return device === undefined || oldVdi === undefined
        ? []
        : [{ device, oldVdi, oldContentId: contentId(oldVdi, false) }];
    }),
  };
  const has = (what: string, vdi: string): boolean => words.includes(`${what}:${vdi}`);
  const announced = record.disks.map(({ device, newVdi: uuid }): AnnouncedDisk => {
    const usedBy = has('used', uuid) ? [id('somebody')] : [];
    const found = { contentId: contentId(uuid, has('written', uuid)), usedBy };
    return { device, uuid, found: has('gone', uuid) ? null : found };
  });
  return spoilSwap(record, announced, wordAfter('!', words));
}

function spoilSwap(
  record: SwapRecord,
  announced: readonly AnnouncedDisk[],
  how: string | null,
): ReturnType<typeof swapOf> {
  switch (how) {
    case null:
      return { swap: { kind: 'own', record }, announced };
    case 'job':
      return { swap: { kind: 'own', record: { ...record, job: 'silver' } }, announced };
    case 'sr':
      return { swap: { kind: 'own', record: { ...record, sr: 'another SR' } }, announced };
    case 'copied':
      return { swap: { kind: 'copied', record: { ...record, self: 'another VM' } }, announced: [] };
    case 'unreadable':
      return { swap: { kind: 'unreadable', reason: 'not JSON' }, announced: [] };
    default:
      throw new Error(`no way to spoil an announcement: ${how}`);
  }
}

function toLeftover(words: readonly string[]): Leftover {
  const [kind, name = '', side] = words;
  return {
    kind: kind === 'vm' ? 'vm' : 'disk',
    side: side === 'source' ? 'source' : 'target',
    id: id(name),
    run: 'run-dead',
    disks: kind === 'vm' ? [id(`${name}.0`)] : [],
    reclaimableBytes: Number(wordAfter('*', words) ?? 0) * gib,
    ...progressOf(name, words),
    ...(wordAfter('~', words) === null ? {} : { contentId: contentId(name, words.includes('written')) }),
  };
}

function progressOf(self: string, words: readonly string[]): Pick<Leftover, 'progress'> {
  const snapshot = wordAfter('~', words);
  if (snapshot === null) return {};
  const device = words.find((word) => /^\d+$/.test(word)) ?? '';
  const [confirmed = '0', offered = confirmed] = (wordAfter('at=', words) ?? '').split('/');
  const sizeBytes = Number(wordAfter('size=', words) ?? 1) * gib;
  return {
    progress: {
      v: 1,
      self,
      job: 'gold',
      device,
      sourceSnapshot: snapshot,
      sourceVdi: `${snapshot}.${device}`,
      base: wordAfter('on=', words),
      method: words.includes('nbd') ? 'nbd' : 'export',
      sizeBytes,
      confirmedBytes: words.includes('done') ? sizeBytes : Number(confirmed) * gib,
      offeredBytes: words.includes('done') ? sizeBytes : Number(offered) * gib,
      digest: 'sha256:00',
      complete: words.includes('done'),
      ...(words.includes('done') ? { contentId: contentId(self, false) } : {}),
    },
  };
}
