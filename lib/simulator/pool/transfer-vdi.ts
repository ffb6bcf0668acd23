import { flag, int, map, text } from '../database/row';
import type { TransferHost, TransferVdi } from '../transfer';
import type { Host } from './host';
import type { Pool } from './pool';

/** A host as the transfer handlers see it: with the address that a redirect names. */
export function transferHost({ ref, uuid, location, line }: Host): TransferHost {
  return { ref, uuid, address: location, line };
}

/** A VDI as the transfer handlers see it. */
export function transferVdi(pool: Pool, ref: string): TransferVdi {
  const row = pool.db.row('VDI', ref);
  const sr = text(row, 'SR');
  const srRow = pool.db.row('SR', sr);
  const lvm = text(srRow, 'type').startsWith('lvm');
  const raw = map(row, 'sm_config')['type'] === 'raw';
  return {
    ref,
    uuid: text(row, 'uuid'),
    name: text(row, 'name_label'),
    srRef: sr,
    sizeBytes: int(row, 'virtual_size'),
    type: text(row, 'type'),
    readOnly: flag(row, 'read_only'),
    store: pool.storeOf(sr),
    imageId: text(row, 'location'),
    vhdBacked: !raw,
    prezeroed: !lvm || (!raw && map(srRow, 'sm_config')['use_vhd'] === 'true'),
  };
}
