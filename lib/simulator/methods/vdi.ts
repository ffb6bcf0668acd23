import { flag, text } from '../database/row';
import { ApiError } from '../errors';
import type { Call, Handler, Handlers } from '../pool/call';
import { branchDisk, createDisk, destroyDisk, resizeDisk, settle } from '../pool/disks';
import { checkVdiOperation, refreshVdi } from '../pool/vdi-rules';
import type { Value } from '../rpc/unmarshal';
import { vdiOperation } from './vdi-operation';

/** Disks: making, branching, growing, removing. */
export const vdis = {
  'VDI.create': ({ pool, args }) => {
    const values = args.value(0) as Readonly<Record<string, Value>>;
    if (values['type'] === 'cbt_metadata') throw new ApiError('VDI_INCOMPATIBLE_TYPE', '', 'CBT metadata');
    return createDisk(pool, values);
  },
  'VDI.snapshot': (call) =>
    vdiOperation(call, 'snapshot', () => branchDisk(call.pool, call.args.text(0), 'snapshot')),
  'VDI.clone': (call) => vdiOperation(call, 'clone', () => branchDisk(call.pool, call.args.text(0), 'clone')),
  'VDI.destroy': async (call) => {
    await vdiOperation(call, 'destroy', () => destroyDisk(call.pool, call.args.text(0)));
    return '';
  },
  'VDI.resize': async (call) => {
    await vdiOperation(call, 'resize', () => resizeDisk(call.pool, call.args.text(0), call.args.int(1)));
    return '';
  },
  'VDI.forget': async (call) => {
    await vdiOperation(call, 'forget', () => {
      call.pool.db.destroy('VDI', call.args.text(0));
    });
    return '';
  },
  'VDI.update': async (call) => {
    await vdiOperation(call, 'update', () => settle(call.pool, [call.args.text(0)]));
    return '';
  },
  'VDI.set_name_label': setter('name_label'),
  'VDI.set_name_description': setter('name_description'),
  'VDI.set_allow_caching': setter('allow_caching'),
  'VDI.set_on_boot': setOnBoot,
  'VDI.open_database': notForMetadata,
  'VDI.checksum': ({ pool, args }) => {
    const row = pool.db.row('VDI', args.text(0));
    const store = pool.storeOf(text(row, 'SR'));
    return store.digest(text(row, 'location')).then((digest) => digest.sha256);
  },
  ...storageManagerOnly(),
} satisfies Handlers;

function setter(field: string): Handler {
  return ({ pool, args }) => {
    pool.db.set('VDI', args.text(0), field, args.value(1));
    return '';
  };
}

/** No simulated SR has the feature for disks that forget their changes at boot. */
function setOnBoot({ pool, args }: Call): Value {
  const row = pool.db.row('VDI', args.text(0));
  if (args.text(1) === 'reset') throw new ApiError('SR_OPERATION_NOT_SUPPORTED', text(row, 'SR'));
  checkVdiOperation(pool.db, args.text(0), 'set_on_boot');
  if (flag(row, 'cbt_enabled')) throw new ApiError('VDI_CBT_ENABLED', args.text(0));
  pool.db.set('VDI', args.text(0), 'on_boot', 'persist');
  refreshVdi(pool.db, args.text(0));
  return '';
}

function notForMetadata({ pool, args }: Call): Value {
  pool.db.row('VDI', args.text(0));
  throw new ApiError('VDI_IS_NOT_METADATA_VDI', args.text(0));
}

/** These are for the storage manager's own sessions. */
function storageManagerOnly(): Handlers {
  const names = [
    'set_read_only',
    'set_sharable',
    'set_managed',
    'set_missing',
    'set_virtual_size',
    'set_physical_utilisation',
    'set_is_a_snapshot',
    'set_snapshot_of',
    'set_snapshot_time',
    'set_metadata_of_pool',
    'set_cbt_enabled',
    'db_forget',
    'db_introduce',
    'pool_introduce',
    'force_unlock',
  ];
  const denied: Handler = () => {
    throw new ApiError('PERMISSION_DENIED', '');
  };
  return Object.fromEntries(names.map((name) => [`VDI.${name}`, denied]));
}
