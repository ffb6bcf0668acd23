import { flag, list, text } from '../database/row';
import { ApiError } from '../errors';
import { attachedVbds } from '../pool/attach';
import type { Call, Handler, Handlers } from '../pool/call';
import { assertPlugged, settle, updateSr } from '../pool/disks';
import type { Pool } from '../pool/pool';

/** Storage repositories and their PBDs. */
export const srs = {
  'SR.scan': scan,
  'SR.update': ({ pool, args }) => {
    assertPlugged(pool, args.text(0));
    updateSr(pool, args.text(0));
    return '';
  },
  'SR.set_name_label': setter('name_label'),
  'SR.set_name_description': setter('name_description'),
  'SR.set_shared': setter('shared'),
  'SR.set_physical_size': setter('physical_size'),
  'SR.assert_can_host_ha_statefile': notHere,
  'SR.get_supported_types': ({ pool }) => [...pool.db.table('SM').rows()].map(([, row]) => text(row, 'type')),
  'SR.forget': ({ pool, args }) => {
    const pbds = list(pool.db.row('SR', args.text(0)), 'PBDs');
    if (pbds.some((pbd) => pool.db.flag('PBD', pbd, 'currently_attached')))
      throw new ApiError('SR_HAS_PBD', args.text(0));
    for (const pbd of pbds) pool.db.destroy('PBD', pbd);
    for (const vdi of list(pool.db.row('SR', args.text(0)), 'VDIs')) pool.db.destroy('VDI', vdi);
    pool.db.destroy('SR', args.text(0));
    return '';
  },
  'PBD.plug': ({ pool, args }) => {
    const row = pool.db.row('PBD', args.text(0));
    pool.db.set('PBD', args.text(0), 'currently_attached', true);
    updateSr(pool, text(row, 'SR'));
    return '';
  },
  'PBD.unplug': ({ pool, args }) => unplugPbd(pool, args.text(0), false),
  'PBD.destroy': ({ pool, args }) => {
    if (flag(pool.db.row('PBD', args.text(0)), 'currently_attached'))
      throw new ApiError('OPERATION_NOT_ALLOWED', 'PBD is currently attached');
    pool.db.destroy('PBD', args.text(0));
    return '';
  },
} satisfies Handlers;

function setter(field: string): Handler {
  return ({ pool, args }) => {
    pool.db.set('SR', args.text(0), field, args.value(1));
    return '';
  };
}

function notHere({ pool, args }: Call): never {
  pool.db.row('SR', args.text(0));
  throw new ApiError('SR_OPERATION_NOT_SUPPORTED', args.text(0));
}

/** Unplugs an SR from a host. `force` does so under the feet of whoever uses it. */
export function unplugPbd(pool: Pool, pbd: string, force: boolean): string {
  const row = pool.db.row('PBD', pbd);
  const sr = text(row, 'SR');
  const busy = list(pool.db.row('SR', sr), 'VDIs').find((vdi) =>
    attachedVbds(pool, vdi).some(
      (vbd) => pool.db.text('VM', pool.db.text('VBD', vbd, 'VM'), 'resident_on') === text(row, 'host'),
    ),
  );
  if (busy !== undefined && !force) throw new ApiError('VDI_IN_USE', busy, 'forget');
  pool.db.set('PBD', pbd, 'currently_attached', false);
  return '';
}

/** New files get records, vanished ones lose theirs, sizes are brought up to date. */
function scan({ pool, args }: Call): string {
  const { db } = pool;
  const sr = args.text(0);
  assertPlugged(pool, sr);
  const store = pool.storeOf(sr);
  const known = new Map(list(db.row('SR', sr), 'VDIs').map((vdi) => [db.text('VDI', vdi, 'location'), vdi]));
  for (const image of store.images())
    if (!known.has(image.id))
      db.create('VDI', {
        uuid: image.id,
        location: image.id,
        SR: sr,
        name_label: image.hidden ? 'base copy' : '',
        virtual_size: image.sizeBytes,
        type: 'user',
        managed: !image.hidden,
        read_only: image.hidden,
        metadata_of_pool: '',
        sm_config: { vdi_type: 'vhd' },
      });
  for (const [id, vdi] of known) if (!store.has(id)) db.destroy('VDI', vdi);
  settle(pool, db.list('SR', sr, 'VDIs'));
  updateSr(pool, sr);
  pool.scheduleCoalesce(sr);
  return '';
}
