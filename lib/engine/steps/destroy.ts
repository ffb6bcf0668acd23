/** Everything that destroys. Each caller has looked at the lock right before. */
import type { CallOptions, Pool, Ref, VdiRecord, VmRecord } from '../../xapi';
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
  const { VM, VDI } = await pool.read({ VM: [ref], VDI: refsOf(disks) }, options);
  const record = VM.get(ref);
  if (record !== undefined) await revoke(pool, ref, record, mark, options);
  await destroyUnused(pool, disks, VDI, new Set(record?.VBDs ?? []), options);
  if (record !== undefined) await unlessGone(pool.call('VM.destroy', [ref], options));
}

async function revoke(
  pool: Pool,
  ref: Ref<'VM'>,
  { uuid, other_config: otherConfig }: VmRecord,
  mark: { readonly job: string; readonly run: string; readonly sr: string },
  options: CallOptions,
): Promise<void> {
  if (decode.run(otherConfig, uuid).kind === 'own') return;
  const revoked = { ...withoutReplicationKeys(otherConfig), ...copiedReplica(otherConfig) };
  const marked = { ...revoked, ...encode.run({ v: 1, self: uuid, ...mark }) };
  await unlessGone(pool.call('VM.set_other_config', [ref, marked], options));
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
  const owner = ownerRef === null ? [] : [ownerRef as Ref<'VM'>];
  const { VM, VDI } = await pool.read({ VM: owner, VDI: refsOf(disks) }, options);
  await destroyUnused(pool, disks, VDI, new Set([...VM.values()].flatMap(({ VBDs }) => VBDs)), options);
}

/** Those of the disks that are still there and have no VBD but these. */
async function destroyUnused(
  pool: Pool,
  disks: readonly ObjectId[],
  records: ReadonlyMap<Ref<'VDI'>, VdiRecord>,
  ownVbds: ReadonlySet<Ref<'VBD'>>,
  options: CallOptions,
): Promise<void> {
  for (const disk of disks) {
    const ref = disk.ref as Ref<'VDI'>;
    const record = records.get(ref);
    if (record === undefined) continue;
    if (record.VBDs.some((vbd) => !ownVbds.has(vbd))) {
      throw new ReplicationError(
        'disk-busy',
        `Disk "${disk.name}" (${disk.uuid}) on pool "${pool.name}" is not destroyed: another VM uses it`,
        { retry: 'later', hint: 'detach it there if it is not wanted; a later run cleans it up' },
      );
    }
    await unlessGone(pool.call('VDI.destroy', [ref], options));
  }
}

function refsOf(disks: readonly ObjectId[]): readonly Ref<'VDI'>[] {
  return disks.map(({ ref }) => ref as Ref<'VDI'>);
}
