/** A folder that an export begins in must hold nothing that it would write over. */
import { readdir } from 'node:fs/promises';
import { seedFileError } from '../errors';

/** Everything that an export ever writes, finished or not. */
const written = /^(seed\.json|seed\.xva(\.gz)?|disk-\d+\.(vhd|digests\.json))(\.partial)?$/;

/**
 * Only where there is a note of an export of ours may such files be written again: without it they are somebody else's,
 * or a seed that lost its description, and either may be the only copy of something.
 *
 * @throws ReplicationError `seed-file` with the names of the files
 */
export async function assertUnused(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => written.test(name)).sort();
  if (names.length === 0) return;
  throw seedFileError(
    `${folder} holds files that an export would write over, and no note of an export that could go on: ${names.join(', ')}`,
    'name an empty folder, or move these files away',
  );
}
