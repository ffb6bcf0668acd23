import { flag, int, text } from '../database/row';
import { ApiError } from '../errors';
import type { Call, Handlers } from '../pool/call';
import { createDisk, settle, storage } from '../pool/disks';
import { vdiOperation } from './vdi-operation';

/** Bytes moved at a time. */
const pieceBytes = 2 * 1024 * 1024;

export const vdiCopies = {
  'VDI.copy': copy,
  'VDI.pool_migrate': (call) => {
    call.pool.db.row('SR', call.args.text(1));
    throw new ApiError('VDI_NEEDS_VM_FOR_MIGRATE', call.args.text(0));
  },
} satisfies Handlers;

/** To a new disk on an SR, or into an existing one: all of it, or with a base only what differs from it. */
async function copy(call: Call): Promise<string> {
  const { pool, args } = call;
  const [vdi, sr, base, into] = [args.text(0), args.text(1), args.text(2), args.text(3)];
  const nowhere = !pool.db.exists('VDI', into);
  if (nowhere) pool.db.row('SR', sr);
  return vdiOperation(call, 'copy', async () => {
    if (nowhere) return copyDisk(call, vdi, sr);
    const target = pool.db.row('VDI', into);
    if (flag(target, 'read_only')) throw new ApiError('VDI_READONLY', into);
    const size = int(pool.db.row('VDI', vdi), 'virtual_size');
    if (int(target, 'virtual_size') < size) throw new ApiError('VDI_TOO_SMALL', into, String(size));
    await copyData(call, vdi, into, pool.db.exists('VDI', base) ? base : null);
    return into;
  });
}

/** A new disk with the same content on `sr`. */
export async function copyDisk(call: Call, vdi: string, sr: string): Promise<string> {
  const { pool } = call;
  const row = { ...pool.db.row('VDI', vdi) };
  const made = await createDisk(pool, {
    SR: sr,
    name_label: row['name_label'] ?? '',
    name_description: row['name_description'] ?? '',
    virtual_size: row['virtual_size'] ?? 0,
    type: row['type'] ?? 'user',
    other_config: row['other_config'] ?? {},
    xenstore_data: row['xenstore_data'] ?? {},
    sm_config: {},
    sharable: false,
    read_only: false,
  });
  await copyData(call, vdi, made, null);
  return made;
}

async function copyData(call: Call, from: string, to: string, base: string | null): Promise<void> {
  const { pool } = call;
  const source = pool.db.row('VDI', from);
  const target = pool.db.row('VDI', to);
  const sourceStore = pool.storeOf(text(source, 'SR'));
  const id = text(source, 'location');
  const blocks =
    base === null
      ? sourceStore.allocatedBlocks(id)
      : sourceStore.changedBlocks(id, pool.db.text('VDI', base, 'location'));
  for (const block of blocks) {
    const data = await sourceStore.read(id, block * pieceBytes, pieceBytes);
    await storage(pool, text(target, 'SR'), (store) =>
      store.write(text(target, 'location'), block * pieceBytes, data),
    );
  }
  settle(pool, [to]);
}
