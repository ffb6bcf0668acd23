import { ApiError } from '../errors';
import type {
  Attachment,
  Authentication,
  Credentials,
  FaultPoint,
  TaskOptions,
  TransferFault,
  TransferHost,
  TransferPool,
  TransferSr,
  TransferTask,
  TransferVdi,
  VmExport,
  VmExportOptions,
  VmImport,
  VmImportOptions,
} from '../transfer';
import { attachToControlDomain, destroyVbd, detachVbd, pluggedHosts } from './attach';
import { createDisk, settle } from './disks';
import type { Host } from './host';
import type { Pool } from './pool';
import { permissionsOf } from './roles';
import { transferHost, transferVdi } from './transfer-vdi';
import { beginVmExport } from './vm-export';
import { beginVmImport } from './vm-import';

/** What the transfer handlers need of a pool. */
export function transferSide(pool: Pool): TransferPool {
  return new Side(pool);
}

class Side implements TransferPool {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  get apiMinor(): number {
    return this.#pool.facts.apiMinor;
  }

  get closing(): AbortSignal {
    return AbortSignal.any([this.#pool.lifetime, this.#pool.faults.lifted]);
  }

  get cutRawUpload(): 'fails' | 'succeeds' {
    return this.#pool.cutRawUpload;
  }

  get clock(): Pool['clock'] {
    return this.#pool.clock;
  }

  authenticate(credentials: Credentials, host: TransferHost): Authentication {
    const pool = this.#pool;
    if (credentials.kind === 'session') {
      if (!pool.sessions.exists(credentials.ref)) return { verdict: 'unauthorised' };
      pool.sessions.check(credentials.ref);
      return this.#admit({ ref: credentials.ref, end: () => undefined });
    }
    const user = pool.users.find((candidate) => candidate.name === credentials.username);
    if (user === undefined || user.password !== credentials.password) return { verdict: 'unauthorised' };
    const superuser = user.role === 'pool-admin';
    const ref = pool.sessions.open({
      user: user.name,
      originator: 'HTTP using Basic auth',
      hostRef: host.ref,
      superuser,
      permissions: superuser ? [] : permissionsOf(pool, user.role),
    });
    return this.#admit({ ref, end: () => pool.sessions.close(ref) });
  }

  /** Transfers are for vm-admin and stronger. */
  #admit(session: { readonly ref: string; end(): void }): Authentication {
    const { db } = this.#pool;
    const superuser = db.flag('session', session.ref, 'is_local_superuser');
    if (superuser || db.list('session', session.ref, 'rbac_permissions').includes('vdi.create'))
      return { verdict: 'accepted', session };
    const words =
      'No permission in user session. (Roles with this permission: vm-admin, vm-power-admin, pool-operator, pool-admin)';
    return {
      verdict: 'forbidden',
      session,
      failure: new ApiError('RBAC_PERMISSION_DENIED', 'http/transfer', words),
    };
  }

  openTask(options: TaskOptions): TransferTask {
    const pool = this.#pool;
    const own = options.taskRef === null;
    const ref =
      options.taskRef ??
      pool.tasks.create({
        label: options.label,
        sessionRef: options.session.ref,
        hostRef: options.host.ref,
        ...(options.subtaskOf === null ? {} : { subtaskOf: options.subtaskOf }),
      });
    pool.db.row('task', ref);
    return {
      ref,
      setProgress: (fraction) => pool.tasks.setProgress(ref, fraction),
      complete: (result) => pool.tasks.complete(ref, result),
      fail: (failure) => pool.tasks.fail(ref, new ApiError(failure.code, ...failure.params)),
      cancelRequested: () => pool.tasks.cancelRequested(ref),
      addToOtherConfig: (key, value) => {
        if (pool.db.exists('task', ref))
          pool.db.set('task', ref, 'other_config', {
            ...pool.db.map('task', ref, 'other_config'),
            [key]: value,
          });
      },
      release: () => {
        if (own) pool.tasks.drop(ref);
      },
    };
  }

  findVdi(refOrUuid: string): TransferVdi | null {
    const ref = this.#refOf('VDI', refOrUuid);
    return ref === null ? null : transferVdi(this.#pool, ref);
  }

  findSr(refOrUuid: string): TransferSr | null {
    const ref = this.#refOf('SR', refOrUuid);
    return ref === null ? null : { ref, uuid: this.#pool.db.text('SR', ref, 'uuid') };
  }

  defaultSr(): TransferSr | null {
    return this.findSr(this.#pool.db.text('pool', this.#pool.ref, 'default_SR'));
  }

  #refOf(className: string, refOrUuid: string): string | null {
    const table = this.#pool.db.table(className);
    return table.has(refOrUuid) ? refOrUuid : (table.refOfUuid(refOrUuid) ?? null);
  }

  hostsThatSee(srRef: string): readonly TransferHost[] {
    const pool = this.#pool;
    return pluggedHosts(pool, srRef)
      .filter((ref) => !pool.offline.has(ref) && pool.db.flag('host', ref, 'enabled'))
      .map((ref) => transferHost(pool.hostOf(ref)));
  }

  async createImportedVdi(srRef: string, sizeBytes: number): Promise<TransferVdi> {
    const vdi = await createDisk(this.#pool, {
      SR: srRef,
      name_label: 'Imported VDI',
      virtual_size: sizeBytes,
      type: 'user',
    });
    return transferVdi(this.#pool, vdi);
  }

  /** Waits while an operation of another kind works on the VDI, as the server does. */
  attach(vdi: TransferVdi, host: TransferHost, mode: 'RO' | 'RW'): Promise<Attachment> {
    const pool = this.#pool;
    const own = pool.hostOf(host.ref);
    return pool.inStorage(vdi.srRef, () => {
      const vbd = attachToControlDomain(pool, vdi.ref, own, mode);
      return Promise.resolve({ vbdRef: vbd, detach: () => this.#detach(vbd, vdi, own) });
    });
  }

  #detach(vbd: string, vdi: TransferVdi, host: Host): Promise<void> {
    const pool = this.#pool;
    return pool.inStorage(vdi.srRef, () => {
      if (!pool.db.exists('VBD', vbd)) return Promise.resolve();
      detachVbd(pool, vbd, host);
      destroyVbd(pool, vbd);
      if (pool.db.exists('VDI', vdi.ref)) settle(pool, [vdi.ref]);
      return Promise.resolve();
    });
  }

  takeFault(point: FaultPoint): TransferFault | null {
    const host = this.#pool.hostOf(point.host.ref);
    const effect = this.#pool.faults.take({
      transfer: point.transfer,
      objects: point.object,
      host: [host.ref, host.uuid, host.name, host.address],
    });
    if (effect?.kind === 'after') return { kind: 'late-failure' };
    return effect;
  }

  countBytes(transfer: 'export' | 'import', bytes: number): void {
    if (transfer === 'export') this.#pool.counters.bytesExported += bytes;
    else this.#pool.counters.bytesImported += bytes;
  }

  newUuid(): string {
    return this.#pool.random.uuid();
  }

  beginVmExport(options: VmExportOptions): Promise<VmExport> {
    return beginVmExport(this.#pool, options);
  }

  beginVmImport(options: VmImportOptions): Promise<VmImport> {
    return beginVmImport(this.#pool, options);
  }

  nbdPurpose(): 'nbd' | 'insecure_nbd' | null {
    const purposes = new Set(
      [...this.#pool.db.table('network').rows()].flatMap(([, row]) => row['purpose'] as readonly string[]),
    );
    if (purposes.has('nbd')) return purposes.has('insecure_nbd') ? null : 'nbd';
    return purposes.has('insecure_nbd') ? 'insecure_nbd' : null;
  }
}
