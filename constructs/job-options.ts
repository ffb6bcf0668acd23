/** How a job takes its snapshots, moves its bytes, and what it must not exceed: each as said by the user and as the provider reads it. */
import type { JobLimits, JobSnapshot, JobTransfer } from './bindings/job';
import { checkedChoice, checkedInteger } from './checked';
import type { DataRate } from './data-rate';
import type { Duration } from './duration';
import type { TimeWindow } from './time-window';

/** How the source snapshot is taken. */
export interface SnapshotOptions {
  /**
   * `disk`: what a power cut would leave. `quiesce`: the guest is asked to write down what it holds first. `offline`: the
   * guest is shut down for the moment of the snapshot and started again. `memory`: always refused for a running VM, since its
   * memory cannot be carried to another pool.
   * @default 'disk'
   */
  readonly mode?: 'disk' | 'quiesce' | 'memory' | 'offline';
  /**
   * All VMs of a run are snapshotted together, at most this far apart; a run that cannot is an error.
   * @default - each VM when its turn comes
   */
  readonly groupSkew?: Duration;
}

/** How the bytes travel. */
export interface TransferOptions {
  /**
   * `auto` takes NBD with changed-block tracking where both are there, else an export.
   * @default 'auto'
   */
  readonly method?: 'auto' | 'export' | 'nbd';
  /**
   * Whether the job may turn on changed-block tracking on the disks it protects.
   * @default false
   */
  readonly enableCbt?: boolean;
  /**
   * Whether the data of the source snapshot goes once it is committed: its list of changed blocks stays, and takes no space.
   * @default false
   */
  readonly dropSnapshotData?: boolean;
  /**
   * What each run reads back of its recovery point before it is called good.
   * @default 'none'
   */
  readonly verify?: 'none' | 'sampled' | 'full';
}

/** Another limit at some times. */
export interface RateWindow {
  /** When it counts. */
  readonly window: TimeWindow;
  /**
   * The limit in this window.
   * @default - none: as fast as it goes
   */
  readonly rate?: DataRate;
}

/** What a run must not exceed. All disks of a run share it. */
export interface LimitOptions {
  /**
   * Rate at which is read from the source.
   * @default - none: as fast as it goes
   */
  readonly rate?: DataRate;
  /**
   * Times in which another rate counts; the first that matches.
   * @default - none
   */
  readonly windows?: readonly RateWindow[];
  /**
   * Whether a run gives way, down to a tenth of its rate, while the control domain of a source host that it reads from is
   * busy (load average above 1 per vCPU).
   * @default false
   */
  readonly nice?: boolean;
  /**
   * Disks read or written at once of one pool, 1 to 64.
   * @default 8
   */
  readonly transfersPerPool?: number;
  /**
   * Disks read or written at once of one storage repository, 1 to 64.
   * @default 4
   */
  readonly transfersPerSr?: number;
}

export function snapshotAttributes({ mode, groupSkew }: SnapshotOptions): JobSnapshot {
  if (mode !== undefined) {
    const modes = ['disk', 'quiesce', 'memory', 'offline'] as const;
    checkedChoice('snapshot.mode', mode, modes, 'a snapshot is taken in one of these ways');
  }
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(groupSkew === undefined ? {} : { groupSkew: groupSkew.toString() }),
  };
}

export function transferAttributes(options: TransferOptions): JobTransfer {
  const { method, enableCbt, dropSnapshotData, verify } = options;
  if (method !== undefined) {
    checkedChoice('transfer.method', method, ['auto', 'export', 'nbd'], 'a pool offers no other way');
  }
  if (verify !== undefined) {
    checkedChoice('transfer.verify', verify, ['none', 'sampled', 'full'], 'it says how much is read back');
  }
  if (method === 'export' && dropSnapshotData === true) {
    throw new Error(
      "transfer.dropSnapshotData cannot be true with method 'export': an export of what changed is made of the data of " +
        'the snapshot before',
    );
  }
  if (method === 'export' && enableCbt === true) {
    throw new Error(
      "transfer.enableCbt cannot be true with method 'export': an export does not use changed-block tracking",
    );
  }
  return { ...options };
}

export function limitAttributes(options: LimitOptions): JobLimits {
  const { rate, windows, nice, transfersPerPool, transfersPerSr } = options;
  const range = {
    min: 1,
    max: 64,
    because: 'each takes a connection, and a server lets few of them be fast',
  };
  if (transfersPerPool !== undefined) {
    checkedInteger('limits.transfersPerPool', transfersPerPool, range);
  }
  if (transfersPerSr !== undefined) checkedInteger('limits.transfersPerSr', transfersPerSr, range);
  return {
    ...(rate === undefined ? {} : { bytesPerSecond: rate.toBytesPerSecond() }),
    ...(windows === undefined ? {} : { windows: windows.map(windowAttributes) }),
    ...(nice === undefined ? {} : { nice }),
    ...(transfersPerPool === undefined ? {} : { transfersPerPool }),
    ...(transfersPerSr === undefined ? {} : { transfersPerSr }),
  };
}

function windowAttributes({ window, rate }: RateWindow) {
  return {
    ...window.toAttributes(),
    ...(rate === undefined ? {} : { bytesPerSecond: rate.toBytesPerSecond() }),
  };
}
