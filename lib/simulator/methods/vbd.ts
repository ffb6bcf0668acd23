import { flag, list, text, without } from '../database/row';
import { ApiError } from '../errors';
import { attachVbd, createVbd, destroyVbd, detachVbd } from '../pool/attach';
import type { Call, Handlers } from '../pool/call';
import type { Pool } from '../pool/pool';
import { refreshVbd, refreshVdi } from '../pool/vdi-rules';
import type { Value } from '../rpc/unmarshal';

const positions = 255;

export const vbds = {
  'VBD.create': ({ pool, args }) => create(pool, args.value(0) as Readonly<Record<string, Value>>),
  'VBD.destroy': ({ pool, args }) => {
    const row = pool.db.row('VBD', args.text(0));
    if (flag(row, 'currently_attached'))
      throw new ApiError(
        'OPERATION_NOT_ALLOWED',
        `VBD '${text(row, 'uuid')}' still attached to '${text(pool.db.row('VM', text(row, 'VM')), 'uuid')}'`,
      );
    destroyVbd(pool, args.text(0));
    return '';
  },
  'VBD.plug': ({ pool, args }) => {
    const row = runningVbd(pool, args.text(0));
    if (flag(row, 'currently_attached')) throw new ApiError('DEVICE_ALREADY_ATTACHED', args.text(0));
    attachVbd(pool, args.text(0), pool.hostOf(pool.db.text('VM', text(row, 'VM'), 'resident_on')));
    return '';
  },
  'VBD.unplug': unplug,
  'VBD.unplug_force': unplug,
  'VBD.unplug_force_no_safety_check': unplug,
  'VBD.insert': insert,
  'VBD.eject': eject,
  'VBD.assert_attachable': ({ pool, args }) => {
    runningVbd(pool, args.text(0));
    return '';
  },
  'VBD.set_mode': ({ pool, args }) => {
    const row = pool.db.row('VBD', args.text(0));
    if (flag(row, 'currently_attached'))
      throw new ApiError('VM_BAD_POWER_STATE', text(row, 'VM'), 'halted', 'running');
    pool.db.set('VBD', args.text(0), 'mode', args.text(1));
    return '';
  },
  'VM.get_allowed_VBD_devices': ({ pool, args }) => {
    const taken = takenPositions(pool, args.text(0));
    return Array.from({ length: positions }, (_, index) => index)
      .filter((position) => !taken.has(position))
      .map(String);
  },
} satisfies Handlers;

/** Makes a VBD on any VM, also one that runs: it is not plugged in by that. */
function create(pool: Pool, values: Readonly<Record<string, Value>>): string {
  const { db } = pool;
  const [vm, vdi, device] = [text(values, 'VM'), text(values, 'VDI'), text(values, 'userdevice')];
  const empty = flag(values, 'empty');
  db.row('VM', vm);
  if (!empty) db.row('VDI', vdi);
  if (empty && text(values, 'type') === 'Disk')
    throw new ApiError('VBD_NOT_REMOVABLE_MEDIA', 'in constructor');
  if (text(values, 'type') === 'CD' && text(values, 'mode') !== 'RO')
    throw new ApiError('VBD_CDS_MUST_BE_READONLY');
  if (!empty && db.text('VDI', vdi, 'type') === 'cbt_metadata')
    throw new ApiError('VDI_INCOMPATIBLE_TYPE', vdi, 'CBT metadata');
  if (!empty && text(values, 'mode') === 'RW' && db.flag('VDI', vdi, 'read_only'))
    throw new ApiError('VDI_READONLY', vdi);
  const userdevice = placeFor(pool, vm, device);
  const rest = without(values, 'uuid', 'currently_attached', 'device') as Record<string, string>;
  const vbd = createVbd(pool, { ...rest, VDI: empty ? 'OpaqueRef:NULL' : vdi, userdevice });
  if (!empty) refreshVdi(db, vdi);
  return vbd;
}

/** The device name to store: a free one for `autodetect`. @throws ApiError INVALID_DEVICE, DEVICE_ALREADY_EXISTS */
function placeFor(pool: Pool, vm: string, device: string): string {
  const taken = takenPositions(pool, vm);
  if (device === 'autodetect') {
    for (let position = 0; position < positions; position++)
      if (!taken.has(position)) return String(position);
    throw new ApiError('INVALID_DEVICE', device);
  }
  const position = positionOf(device);
  if (position === null) throw new ApiError('INVALID_DEVICE', device);
  const names = list(pool.db.row('VM', vm), 'VBDs').map((vbd) => pool.db.text('VBD', vbd, 'userdevice'));
  if (names.includes(device) || (typeof position === 'number' && taken.has(position)))
    throw new ApiError('DEVICE_ALREADY_EXISTS', device);
  return device;
}

function takenPositions(pool: Pool, vm: string): ReadonlySet<number> {
  const used = list(pool.db.row('VM', vm), 'VBDs').map((vbd) =>
    positionOf(pool.db.text('VBD', vbd, 'userdevice')),
  );
  return new Set(used.filter((position) => typeof position === 'number'));
}

/** Disk position of a device name; text for names that are valid and share no position; null for invalid ones. */
function positionOf(device: string): number | string | null {
  if (/^-?\d+$/.test(device)) return Number(device);
  const parts = /^(xvd|hd|sd)([a-p])(\d*)$/.exec(device);
  const [, bus = '', letter = '', partition = ''] = parts ?? [];
  if (bus === '') return null;
  if (bus === 'hd' && letter > 'd') return null;
  if (bus === 'sd' || partition !== '') return device;
  return letter.charCodeAt(0) - 97;
}

function runningVbd(pool: Pool, vbd: string): Readonly<Record<string, Value>> {
  const row = pool.db.row('VBD', vbd);
  const state = pool.db.text('VM', text(row, 'VM'), 'power_state');
  if (state === 'Running') return row;
  throw new ApiError('VM_BAD_POWER_STATE', text(row, 'VM'), 'running', state.toLowerCase());
}

function unplug({ pool, args }: Call): Value {
  const vbd = args.text(0);
  const row = runningVbd(pool, vbd);
  if (!flag(row, 'currently_attached')) throw new ApiError('DEVICE_ALREADY_DETACHED', vbd);
  if (!flag(row, 'unpluggable')) throw new ApiError('DEVICE_NOT_UNPLUGGABLE', vbd);
  detachVbd(pool, vbd, pool.hostOf(pool.db.text('VM', text(row, 'VM'), 'resident_on')));
  return '';
}

function insert({ pool, args }: Call): Value {
  const row = pool.db.row('VBD', args.text(0));
  pool.db.row('VDI', args.text(1));
  if (text(row, 'type') !== 'CD') throw new ApiError('VBD_NOT_REMOVABLE_MEDIA', args.text(0));
  if (!flag(row, 'empty')) throw new ApiError('VBD_NOT_EMPTY', args.text(0));
  pool.db.update('VBD', args.text(0), { VDI: args.text(1), empty: false });
  refreshVbd(pool.db, args.text(0));
  return '';
}

function eject({ pool, args }: Call): Value {
  const row = pool.db.row('VBD', args.text(0));
  if (text(row, 'type') !== 'CD') throw new ApiError('VBD_NOT_REMOVABLE_MEDIA', args.text(0));
  if (flag(row, 'empty')) throw new ApiError('VBD_IS_EMPTY', args.text(0));
  pool.db.update('VBD', args.text(0), { VDI: 'OpaqueRef:NULL', empty: true });
  refreshVbd(pool.db, args.text(0));
  return '';
}
