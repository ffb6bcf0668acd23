/** Everything that destroys. Each caller has looked at the lock right before. */
import type { CallOptions, Pool, Ref, VbdRecord } from '../../xapi';
import { decode, encode, withoutReplicationKeys } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import { codeOf, ReplicationError } from '../errors';

const gone: ReadonlySet<string> = new Set(['HANDLE_INVALID', 'UUID_INVALID']);

/** True for the answers that mean: the object is not there any more. */
export function isGone(error: unknown): boolean {
  return gone.has(codeOf(error) ?? '');
}

/** Runs a call on an object that may be gone already, which is what the caller wants anyway. */
export async function unlessGone(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/**
 * Destroys a snapshot or recovery point with its disks: first its commit is taken back (a crash after that
 * leaves a leftover that the next run knows, not half a recovery point), then the disks, last the VM.
 */
export async function destroyMarked(
  pool: Pool,
  vm: ObjectId,
  disks: readonly ObjectId[],
  mark: { readonly job: string; readonly run: string; readonly sr: string },
  options: CallOptions,
): Promise<void> {
  const ref = vm.ref as Ref<'VM'>;
  try {
    const otherConfig = await pool.call('VM.get_other_config', [ref], options);
    if (decode.run(otherConfig, vm.uuid).kind !== 'own') {
      const revoked = { ...withoutReplicationKeys(otherConfig), ...copiedReplica(otherConfig) };
      await pool.call(
        'VM.set_other_config',
        [ref, { ...revoked, ...encode.run({ v: 1, self: vm.uuid, ...mark }) }],
        options,
      );
    }
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  await destroyDisks(pool, disks, vm.ref, options);
  await unlessGone(pool.call('VM.destroy', [ref], options));
}

/** A recovery point keeps the copied replica mark: it tells the next run whose leftover it is. */
function copiedReplica(otherConfig: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const value = otherConfig['xenrepl:replica'];
  return value === undefined ? {} : { 'xenrepl:replica': value };
}

/**
 * Destroys disks that no VM but `ownerRef` uses. A disk that somebody attached elsewhere is theirs now: it stays,
 * and the caller is told which.
 */
export async function destroyDisks(
  pool: Pool,
  disks: readonly ObjectId[],
  ownerRef: string | null,
  options: CallOptions,
): Promise<void> {
  for (const disk of disks) {
    const ref = disk.ref as Ref<'VDI'>;
    try {
      const others = (await usersOf(pool, ref, options)).filter((vbd) => vbd.VM !== ownerRef);
      if (others.length > 0) {
        throw new ReplicationError(
          'disk-busy',
          `Disk "${disk.name}" (${disk.uuid}) on pool "${pool.name}" is not destroyed: another VM uses it`,
          { retry: 'later', hint: 'detach it there if it is not wanted; a later run cleans it up' },
        );
      }
      await pool.call('VDI.destroy', [ref], options);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

async function usersOf(pool: Pool, ref: Ref<'VDI'>, options: CallOptions): Promise<readonly VbdRecord[]> {
  const vbds = await pool.call('VDI.get_VBDs', [ref], options);
  return Promise.all(vbds.map((vbd) => pool.call('VBD.get_record', [vbd], options)));
}
