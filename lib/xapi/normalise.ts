import { formatXapiDate } from './dates';
import type { Records } from './records';

type NumericField<R> = {
  [F in keyof R & string]-?: NonNullable<R[F]> extends number ? F : never;
}[keyof R & string];

/**
 * Fields that are numbers, for each class: XML-RPC carries 64-bit integers as plain text. The type demands every numeric
 * field of the records, so that a new one cannot be forgotten here and be a string with old hosts.
 */
const NUMERIC: { readonly [C in keyof Records]: Readonly<Record<NumericField<Records[C]>, true>> } = {
  VM: {
    memory_static_max: true,
    memory_static_min: true,
    memory_dynamic_max: true,
    memory_dynamic_min: true,
    VCPUs_max: true,
    VCPUs_at_startup: true,
    HVM_shadow_multiplier: true,
    hardware_platform_version: true,
    start_delay: true,
    shutdown_delay: true,
    order: true,
    user_version: true,
  },
  VM_metrics: {},
  VDI: { virtual_size: true, physical_utilisation: true },
  VBD: {},
  VIF: { MTU: true },
  VTPM: {},
  SR: { physical_size: true, physical_utilisation: true, virtual_allocation: true },
  SM: {},
  PBD: {},
  host: { API_version_major: true, API_version_minor: true },
  host_metrics: {},
  PIF: {},
  pool: {},
  network: {},
  task: { progress: true },
};

/**
 * Gives an answer the same shape whichever transport brought it: integers that XML-RPC carries as text become numbers,
 * dates that xen-api has parsed become XAPI's text again.
 */
export function normalise(method: string, value: unknown): unknown {
  const [className = '', message = ''] = method.split('.');
  if (message === 'get_record') return normaliseRecord(className, value);
  if (message === 'get_all_records' || message === 'get_all_records_where') {
    return Object.fromEntries(
      Object.entries(value as Record<string, unknown>).map(([ref, record]) => [
        ref,
        normaliseRecord(className, record),
      ]),
    );
  }
  return normaliseDate(value);
}

/** As `normalise`, for one record of a class. A record that has this shape already, as over JSON-RPC, is given back itself. */
export function normaliseRecord(className: string, record: unknown): unknown {
  const numeric: Readonly<Record<string, true>> = isClass(className) ? NUMERIC[className] : {};
  const given = record as Readonly<Record<string, unknown>>;
  let copy: Record<string, unknown> | undefined;
  for (const field of Object.keys(given)) {
    const value = given[field];
    const isNumber = typeof value === 'string' && Object.hasOwn(numeric, field);
    const normal = isNumber ? Number(value) : normaliseDate(value);
    if (normal !== value) (copy ??= { ...given })[field] = normal;
  }
  return copy ?? given;
}

function normaliseDate(value: unknown): unknown {
  return value instanceof Date ? formatXapiDate(value.getTime()) : value;
}

function isClass(name: string): name is keyof Records {
  return Object.hasOwn(NUMERIC, name);
}
