import { int } from '../database/row';
import { ApiError } from '../errors';
import type { Call, Handler, Handlers } from '../pool/call';
import { vmOperation } from './vm-operation';
import { refreshVm } from './vm-rules';

/** Setters of VM fields that are more than a write into the database: they count as operations. */
export const vmSettings = {
  'VM.set_is_a_template': async (call) => {
    const { pool, args } = call;
    pool.db.row('VM', args.text(0));
    const makeTemplate = (): void => pool.db.set('VM', args.text(0), 'is_a_template', args.flag(1));
    if (args.flag(1)) await vmOperation(call, 'make_into_template', makeTemplate);
    else makeTemplate();
    return '';
  },
  'VM.set_is_default_template': ({ pool, args }) => {
    pool.db.row('VM', args.text(0));
    pool.db.set('VM', args.text(0), 'is_default_template', args.flag(1));
    refreshVm(pool.db, args.text(0));
    return '';
  },
  'VM.set_memory_limits': memory('changing_memory_limits', [
    'memory_static_min',
    'memory_static_max',
    'memory_dynamic_min',
    'memory_dynamic_max',
  ]),
  'VM.set_memory_static_range': memory('changing_static_range', ['memory_static_min', 'memory_static_max']),
  'VM.set_memory_dynamic_range': memory('changing_dynamic_range', [
    'memory_dynamic_min',
    'memory_dynamic_max',
  ]),
  'VM.set_memory_static_max': memory('changing_static_range', ['memory_static_max']),
  'VM.set_memory_static_min': memory('changing_static_range', ['memory_static_min']),
  'VM.set_memory_dynamic_max': memory('changing_dynamic_range', ['memory_dynamic_max']),
  'VM.set_memory_dynamic_min': memory('changing_dynamic_range', ['memory_dynamic_min']),
  'VM.set_memory': async (call) => {
    const bytes = call.args.int(1);
    await vmOperation(call, 'changing_memory_limits', () =>
      write(call, { memory_static_max: bytes, memory_dynamic_min: bytes, memory_dynamic_max: bytes }),
    );
    return '';
  },
  'VM.set_VCPUs_max': async (call) => {
    await vmOperation(call, 'changing_VCPUs', () => {
      const count = call.args.int(1);
      if (count < 1)
        throw new ApiError(
          'INVALID_VALUE',
          'VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max',
          String(count),
        );
      if (count < int(call.pool.db.row('VM', call.args.text(0)), 'VCPUs_at_startup'))
        throw new ApiError(
          'INVALID_VALUE',
          'VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max',
          String(count),
        );
      write(call, { VCPUs_max: count });
    });
    return '';
  },
  'VM.set_VCPUs_at_startup': async (call) => {
    await vmOperation(call, 'changing_VCPUs', () => {
      const count = call.args.int(1);
      if (count < 1 || count > int(call.pool.db.row('VM', call.args.text(0)), 'VCPUs_max'))
        throw new ApiError(
          'INVALID_VALUE',
          'VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max',
          String(count),
        );
      write(call, { VCPUs_at_startup: count });
    });
    return '';
  },
  'VM.set_VCPUs_number_live': async (call) => {
    await vmOperation(call, 'changing_VCPUs_live', () => write(call, { VCPUs_at_startup: call.args.int(1) }));
    return '';
  },
  'VM.set_NVRAM': async (call) => {
    await vmOperation(call, 'changing_NVRAM', () => write(call, { NVRAM: call.args.map(1) }));
    return '';
  },
  'VM.add_to_NVRAM': async (call) => {
    const { pool, args } = call;
    await vmOperation(call, 'changing_NVRAM', () =>
      pool.db.addToMap('VM', args.text(0), 'NVRAM', args.text(1), args.text(2)),
    );
    return '';
  },
  'VM.remove_from_NVRAM': async (call) => {
    const { pool, args } = call;
    await vmOperation(call, 'changing_NVRAM', () =>
      pool.db.removeFromMap('VM', args.text(0), 'NVRAM', args.text(1)),
    );
    return '';
  },
  'VM.set_HVM_shadow_multiplier': shadow,
  'VM.set_shadow_multiplier_live': shadow,
  'VM.set_ha_always_run': ({ pool, args }) => {
    pool.db.set('VM', args.text(0), 'ha_always_run', args.flag(1));
    return '';
  },
  'VM.maximise_memory': ({ pool, args }) => {
    pool.db.row('VM', args.text(0));
    return args.int(1);
  },
  'VM.compute_memory_overhead': ({ pool, args }) => int(pool.db.row('VM', args.text(0)), 'memory_overhead'),
  'VM.set_domain_type': ({ pool, args }) => {
    pool.db.set('VM', args.text(0), 'domain_type', args.text(1));
    return '';
  },
  'VM.set_HVM_boot_policy': ({ pool, args }) => {
    pool.db.set('VM', args.text(0), 'HVM_boot_policy', args.text(1));
    pool.db.set('VM', args.text(0), 'domain_type', args.text(1) === '' ? 'pv' : 'hvm');
    return '';
  },
} satisfies Handlers;

/** Limits must lie in order: static min ≤ dynamic min ≤ dynamic max ≤ static max. */
function memory(operation: string, fields: readonly string[]): Handler {
  return async (call) => {
    await vmOperation(call, operation, () => {
      const given = Object.fromEntries(fields.map((field, index) => [field, call.args.int(index + 1)]));
      const row = call.pool.db.row('VM', call.args.text(0));
      const order = ['memory_static_min', 'memory_dynamic_min', 'memory_dynamic_max', 'memory_static_max'];
      const bytes = order.map((field) => given[field] ?? int(row, field));
      if (bytes.some((value, index) => index > 0 && value < (bytes[index - 1] ?? 0)))
        throw new ApiError('MEMORY_CONSTRAINT_VIOLATION');
      write(call, given);
    });
    return '';
  };
}

function write(
  call: Call,
  values: Readonly<Record<string, number | Readonly<Record<string, string>>>>,
): void {
  call.pool.db.update('VM', call.args.text(0), values);
}

async function shadow(call: Call): Promise<string> {
  await vmOperation(call, 'changing_shadow_memory', () => {
    const multiplier = Number(call.args.value(1));
    if (multiplier < 1) throw new ApiError('INVALID_VALUE', 'HVM_shadow_multiplier', String(multiplier));
    write(call, { HVM_shadow_multiplier: multiplier });
  });
  return '';
}
