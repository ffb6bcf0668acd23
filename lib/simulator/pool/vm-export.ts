import { formatDate, never } from '../clock';
import { flag, list, text } from '../database/row';
import { handleInvalid } from '../errors';
import { checkVmOperation, refreshVm } from '../methods/vm-rules';
import { marshal, xmlWriter } from '../rpc/marshal';
import type { Value } from '../rpc/unmarshal';
import type { ExportedObject, VmExport, VmExportOptions } from '../transfer';
import type { Pool } from './pool';
import { transferVdi } from './transfer-vdi';

type Overrides = Readonly<Record<string, Value>>;
const nullRef = 'OpaqueRef:NULL';

/**
 * Checks and starts the export of a VM: what goes into the archive is fixed now, the operation stays on the VM until
 * `end` is called.
 * @throws ApiError as the operation does: HANDLE_INVALID, OPERATION_BLOCKED, VM_BAD_POWER_STATE.
 */
export function beginVmExport(pool: Pool, options: VmExportOptions): Promise<VmExport> {
  const table = pool.db.table('VM');
  const vm = table.has(options.vm) ? options.vm : table.refOfUuid(options.vm);
  if (vm === undefined) return Promise.reject(handleInvalid('VM', options.vm));
  const name = options.metadataOnly ? 'metadata_export' : 'export';
  return new Promise((resolve, reject) => {
    const operation = {
      className: 'VM',
      ref: vm,
      name,
      task: options.task.ref,
      signal: pool.lifetime,
      check: () => checkVmOperation(pool.db, vm, name),
      refresh: () => refreshVm(pool.db, vm),
    };
    const work = (): Promise<void> => new Promise((end) => resolve(describe(pool, vm, options, end)));
    pool.operations.run(operation, work).catch(reject);
  });
}

function describe(pool: Pool, vm: string, options: VmExportOptions, end: () => void): VmExport {
  const { db } = pool;
  const snapshots = options.metadataOnly ? db.list('VM', vm, 'snapshots') : [];
  const archive = new Archive(pool, [vm, ...snapshots]);
  return {
    vmRef: vm,
    vmUuid: db.text('VM', vm, 'uuid'),
    version: {
      hostname: pool.coordinator.name,
      date: formatDate(pool.clock.now()),
      product_version: pool.facts.productVersion,
      product_brand: pool.facts.productBrand,
      build_number: 'simulated',
      xapi_major: '2',
      xapi_minor: String(pool.facts.apiMinor),
      export_vsn: '2',
    },
    objects: archive.objects(),
    disks: options.metadataOnly ? [] : archive.vdis.map((vdi) => transferVdi(pool, vdi)),
    end,
  };
}

/** The objects of one archive: VMs, their devices, and what those hang on. */
class Archive {
  readonly vdis: readonly string[];
  readonly #pool: Pool;
  readonly #vms: readonly string[];
  readonly #vbds: readonly string[];
  readonly #vifs: readonly string[];
  readonly #networks: readonly string[];
  readonly #srs: readonly string[];

  constructor(pool: Pool, vms: readonly string[]) {
    const { db } = pool;
    this.#pool = pool;
    this.#vms = vms;
    this.#vbds = vms.flatMap((vm) => [...db.list('VM', vm, 'VBDs')].reverse());
    this.#vifs = vms.flatMap((vm) => [...db.list('VM', vm, 'VIFs')].reverse());
    const disks = this.#vbds.filter((vbd) => db.text('VBD', vbd, 'type') === 'Disk');
    this.vdis = unique(disks.map((vbd) => db.text('VBD', vbd, 'VDI'))).filter((vdi) => db.exists('VDI', vdi));
    this.#networks = unique(this.#vifs.map((vif) => db.text('VIF', vif, 'network')));
    this.#srs = unique(this.vdis.map((vdi) => db.text('VDI', vdi, 'SR')));
  }

  objects(): ExportedObject[] {
    return [
      ...this.#vms.map((ref) => this.#object('VM', ref, this.#vmOverrides(ref))),
      ...this.#vbds.map((ref) => this.#object('VBD', ref, { metrics: nullRef })),
      ...this.#vifs.map((ref) => this.#object('VIF', ref, { metrics: nullRef })),
      ...this.#networks.map((ref) =>
        this.#object('network', ref, { PIFs: [], VIFs: this.#kept('network', ref, 'VIFs', this.#vifs) }),
      ),
      ...this.vdis.map((ref) =>
        this.#object('VDI', ref, { VBDs: this.#kept('VDI', ref, 'VBDs', this.#vbds), crash_dumps: [] }),
      ),
      ...this.#srs.map((ref) =>
        this.#object('SR', ref, { PBDs: [], VDIs: this.#kept('SR', ref, 'VDIs', this.vdis) }),
      ),
    ];
  }

  /** A snapshot that travels without its VM is none any more; it stays a template. */
  #vmOverrides(vm: string): Overrides {
    const row = this.#pool.db.row('VM', vm);
    const alone = !this.#vms.includes(text(row, 'snapshot_of'));
    const history =
      flag(row, 'is_a_snapshot') && !alone
        ? {}
        : { is_a_snapshot: false, snapshot_of: nullRef, snapshot_time: never };
    return {
      ...history,
      metrics: nullRef,
      parent: this.#vms.includes(text(row, 'parent')) ? text(row, 'parent') : nullRef,
      snapshots: list(row, 'snapshots').filter((snapshot) => this.#vms.includes(snapshot)),
      consoles: [],
      crash_dumps: [],
    };
  }

  #kept(className: string, ref: string, field: string, included: readonly string[]): readonly string[] {
    return this.#pool.db.list(className, ref, field).filter((other) => included.includes(other));
  }

  #object(className: string, ref: string, overrides: Overrides): ExportedObject {
    const { db, model } = this.#pool;
    const record = {
      ...db.row(className, ref),
      allowed_operations: [],
      current_operations: {},
      ...overrides,
    };
    const recordXml = marshal(record, { kind: 'record', of: className }, xmlWriter, model);
    return { class: className, ref, recordXml };
  }
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)];
}
