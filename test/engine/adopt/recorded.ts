/** What Xen Orchestra left in two real pools (test/vectors/xo-chains), as it was recorded. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RecordedVm {
  readonly uuid: string;
  readonly name_label: string;
  readonly is_a_snapshot: boolean;
  readonly snapshot_of: string;
  readonly snapshot_time: string;
  readonly other_config: Readonly<Record<string, string>>;
  readonly blocked_operations: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly VBDs: readonly string[];
}

export interface RecordedVdi {
  readonly uuid: string;
  readonly name_label: string;
  readonly virtual_size: string;
  readonly is_a_snapshot: boolean;
  readonly snapshot_of: string;
  readonly SR: string;
  readonly managed: boolean;
  readonly other_config: Readonly<Record<string, string>>;
}

export interface RecordedVbd {
  readonly VM: string;
  readonly VDI: string;
  readonly type: string;
  readonly userdevice: string;
}

type Records<T> = Readonly<Record<string, T>>;

export interface RecordedPool {
  readonly VM: Records<RecordedVm>;
  readonly VDI: Records<RecordedVdi>;
  readonly VBD: Records<RecordedVbd>;
  readonly SR: Records<{ readonly uuid: string }>;
}

/** Indices of 2 MiB blocks that differ from the newest source snapshot, by device. */
export type Differences = Readonly<Record<string, { readonly differing_2MiB_blocks: readonly number[] }>>;

export interface RecordedState {
  readonly source: RecordedPool;
  readonly target: RecordedPool;
  readonly observed?: {
    readonly content_check?: {
      readonly newest_replica_snapshot?: Differences;
      readonly replicas?: readonly { readonly vm: string; readonly diff?: Differences }[];
    };
  };
}

const folder = join(__dirname, '..', '..', 'vectors', 'xo-chains');

export const recordedNames: readonly string[] = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length))
  .sort();

export function recorded(name: string): RecordedState {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as RecordedState;
}

export const xoJob = '11111111-1111-4111-8111-111111111111';
export const xoSchedule = '22222222-2222-4222-8222-222222222222';
