/** Whether the accounts may do what a run does: told at plan, not in the middle of a transfer. */
import type { CallOptions, Pool } from '../../xapi';

/** pool-operator on the target: it keeps jobs and locks in `pool.other_config`. */
const onTarget = [
  'pool.add_to_other_config',
  'pool.remove_from_other_config',
  'vm.create',
  'vm.clone',
  'vm.snapshot',
  'vm.destroy',
  'vdi.create',
  'vdi.destroy',
  'vbd.create',
  'vbd.destroy',
  'http/put_import_raw_vdi',
];

/** vm-admin on the source. */
const onSource = ['vm.snapshot', 'vm.destroy', 'vdi.destroy', 'http/get_export_raw_vdi'];

export async function missingPermissions(
  source: Pool,
  target: Pool,
  options: CallOptions,
): Promise<readonly string[]> {
  const [ofSource, ofTarget] = await Promise.all([
    missing(source, onSource, 'vm-admin', options),
    missing(target, onTarget, 'pool-operator', options),
  ]);
  return [...ofSource, ...ofTarget];
}

async function missing(
  pool: Pool,
  needed: readonly string[],
  role: string,
  options: CallOptions,
): Promise<readonly string[]> {
  const denied = await deniedOf(pool, needed, options);
  return denied.map((name) => `${name} on pool "${pool.name}" (role ${role} has it)`);
}

/** Those of `wanted` that our account on the pool lacks. Costs no call where others were asked for before. */
export async function deniedOf(
  pool: Pool,
  wanted: readonly string[],
  options: CallOptions,
): Promise<readonly string[]> {
  const granted = await pool.permissions(options);
  return granted === 'all' ? [] : wanted.filter((name) => !granted.has(name));
}
