/** What stands on the demo's pools, seen without the program that is shown. */
import { listReplicas } from '../lib/engine';
import type { RecoveryPointSummary, ReplicaSummary } from '../lib/engine';
import { connected } from './site';
import type { DemoPool } from './site';
import { mib } from './story';
import type { Story } from './story';

export async function onlyReplica(target: DemoPool): Promise<ReplicaSummary> {
  const [replica] = await connected(target, (pool) => listReplicas(pool, null));
  if (replica === undefined) throw new Error('The target pool has no replica');
  return replica;
}

export function newest(replica: ReplicaSummary): RecoveryPointSummary {
  const [point] = replica.points;
  if (point === undefined)
    throw new Error(`Replica "${replica.name}" (${replica.uuid}) has no recovery point`);
  return point;
}

export interface Traffic {
  readonly readBytes: number;
  readonly sentBytes: number;
}

/** Counted by the pools themselves, not by the program that moves the bytes. */
export async function traffic(source: DemoPool, target: DemoPool): Promise<Traffic> {
  const [exported, imported] = await Promise.all([source.control.counters(), target.control.counters()]);
  return { readBytes: exported.bytesExported, sentBytes: imported.bytesImported };
}

export function difference(before: Traffic, after: Traffic): Traffic {
  return { readBytes: after.readBytes - before.readBytes, sentBytes: after.sentBytes - before.sentBytes };
}

/** Records for each disk of the recovery point whether it, or the disk given instead, equals the source snapshot's. */
export async function checkDigests(
  story: Story,
  source: DemoPool,
  target: DemoPool,
  point: RecoveryPointSummary,
  what: string,
  instead: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  for (const { device, vdiUuid, sourceVdiUuid } of point.disks) {
    const wanted = await source.control.digestDisk(sourceVdiUuid);
    const found = await target.control.digestDisk(instead.get(device) ?? vdiUuid);
    story.check(
      `disk ${device} of the ${what} equals the source snapshot`,
      wanted.sha256 === found.sha256 && wanted.sizeBytes === found.sizeBytes,
      `sha256 ${found.sha256.slice(0, 16)}… over ${mib(found.sizeBytes)}`,
    );
  }
}
