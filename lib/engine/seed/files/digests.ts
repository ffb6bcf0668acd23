/** The digests that travelled with a seed, for comparing the target's disks without reading the source's. */
import { sameUuid } from '../../../planner/keys';
import type { BlockDigests } from '../compare';
import { seedFileError } from '../errors';
import { ReplicationError } from '../../errors';
import { readAllDigests, readManifest } from './manifest';
import type { SeedManifest } from './manifest';

/**
 * The description of a seed, if it is that of this snapshot.
 *
 * @throws ReplicationError `seed-file` where the folder holds none, `seed-refused` where it is another snapshot's.
 */
export async function manifestOf(folder: string, snapshotUuid: string): Promise<SeedManifest> {
  const manifest = await readManifest(folder);
  if (manifest === null) {
    throw seedFileError(
      `${folder} holds no seed: there is no seed.json in it`,
      'name the folder that the export wrote',
    );
  }
  if (sameUuid(manifest.snapshot.uuid, snapshotUuid)) return manifest;
  throw new ReplicationError(
    'seed-refused',
    `${folder} holds the digests of snapshot ${manifest.snapshot.uuid}, not of ${snapshotUuid}`,
    { retry: 'never', hint: 'name the folder that was exported from this snapshot' },
  );
}

/** Digests by device. @throws as `manifestOf`, and where a file is not the one that was exported */
export async function digestsOf(
  folder: string,
  snapshotUuid: string,
): Promise<ReadonlyMap<string, BlockDigests>> {
  return readAllDigests(folder, await manifestOf(folder, snapshotUuid));
}
