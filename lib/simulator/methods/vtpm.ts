import { list } from '../database/row';
import { ApiError } from '../errors';
import type { Call, Handlers } from '../pool/call';
import { vmOperation } from './vm-operation';

export const vtpms = {
  'VTPM.create': (call) => vmOperation(call, 'create_vtpm', () => create(call)),
  'VTPM.destroy': ({ pool, args }) => {
    const vm = pool.db.text('VTPM', args.text(0), 'VM');
    assertHalted(pool.db.text('VM', vm, 'power_state'), vm);
    pool.db.destroy('VTPM', args.text(0));
    pool.vtpmContents.delete(args.text(0));
    return '';
  },
  'VTPM.get_contents': ({ pool, args }) => {
    pool.db.row('VTPM', args.text(0));
    return pool.vtpmContents.get(args.text(0)) ?? '';
  },
  'VTPM.set_contents': ({ pool, args }) => {
    pool.db.row('VTPM', args.text(0));
    if (!/^[A-Za-z\d+/\s]*={0,2}\s*$/.test(args.text(1)))
      throw new ApiError('INTERNAL_ERROR', 'VTPM contents are not base64');
    pool.vtpmContents.set(args.text(0), args.text(1));
    return '';
  },
} satisfies Handlers;

/** A VM holds one vTPM at most and needs UEFI for it. */
function create({ pool, args }: Call): string {
  const row = pool.db.row('VM', args.text(0));
  if (list(row, 'VTPMs').length > 0) throw new ApiError('VTPM_MAX_AMOUNT_REACHED', '1');
  if (pool.db.map('VM', args.text(0), 'HVM_boot_params')['firmware'] !== 'uefi')
    throw new ApiError('INVALID_VALUE', 'HVM_boot_params["firmware"]', 'a vTPM needs firmware uefi');
  const vtpm = pool.db.create('VTPM', {
    VM: args.text(0),
    is_unique: args.flag(1),
    is_protected: false,
    persistence_backend: 'xapi',
    allowed_operations: ['destroy'],
  });
  pool.vtpmContents.set(vtpm, '');
  return vtpm;
}

function assertHalted(state: string, vm: string): void {
  if (state !== 'Halted') throw new ApiError('VM_BAD_POWER_STATE', vm, 'halted', state.toLowerCase());
}
