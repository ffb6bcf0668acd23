import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Line } from '../../../lib/simulator/line';
import { ImageStore } from '../../../lib/simulator/storage';
import type {
  ApiFailure,
  Attachment,
  Authentication,
  Credentials,
  FaultPoint,
  TaskOptions,
  TransferFault,
  TransferHost,
  TransferPool,
  TransferSession,
  TransferTask,
  TransferVdi,
  VmExport,
  VmExportOptions,
  VmImport,
  VmImportOptions,
} from '../../../lib/simulator/transfer';

export const SESSION = 'OpaqueRef:session';

export interface TaskRecord {
  status: 'pending' | 'success' | 'failure';
  result: string;
  error_info: readonly string[];
  progress: number;
  /** Made by the server, so destroyed at the end. */
  readonly own: boolean;
  destroyed: boolean;
}

export interface StoredFile {
  readonly name: string;
  readonly bytes: Buffer;
  readonly modifiedSeconds: number;
}

/** The control plane as transfers see it, as small as it can be: no database, one SR, two hosts. */
export class TestPool implements TransferPool {
  apiMinor = 21;
  srUuid = 'sr';
  cutRawUpload: 'fails' | 'succeeds' = 'fails';
  readonly hosts: TransferHost[] = [
    { ref: 'OpaqueRef:host1', uuid: 'host1', address: '127.9.9.1', line: new Line() },
    { ref: 'OpaqueRef:host2', uuid: 'host2', address: '127.9.9.2', line: new Line() },
  ];
  plugged = [...this.hosts];
  readonly tasks = new Map<string, TaskRecord>();
  readonly vdis = new Map<string, TransferVdi>();
  /** VBDs of control domains: `VDI uuid mode`. */
  readonly attached: string[] = [];
  readonly faults: TransferFault[] = [];
  readonly bytes = { export: 0, import: 0 };
  readonly events: string[] = [];
  attachFailure: ApiFailure | null = null;
  purpose: 'nbd' | 'insecure_nbd' | null = null;
  exports = new Map<string, (options: VmExportOptions) => Promise<VmExport>>();
  imports: (options: VmImportOptions) => Promise<VmImport> = () =>
    Promise.reject(new Error('no import expected'));
  readonly #closing = new AbortController();
  #ids = 0;

  /** Those who wait for the clock; they go on when {@link wake} is called. */
  readonly sleeping: (() => void)[] = [];

  readonly clock = {
    now: () => Date.UTC(2026, 0, 1),
    sleep: (_ms: number, signal: AbortSignal): Promise<void> =>
      new Promise((resolve, reject) => {
        this.sleeping.push(resolve);
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      }),
  };

  private constructor(
    readonly store: ImageStore,
    private readonly folder: string,
  ) {}

  /** `files`: VHD files that the SR holds already, with the times in their headers. */
  static async open(files: readonly StoredFile[] = []): Promise<TestPool> {
    const folder = mkdtempSync(join(tmpdir(), 'simulator-transfer-'));
    for (const file of files) {
      writeFileSync(join(folder, file.name), file.bytes);
      utimesSync(join(folder, file.name), file.modifiedSeconds, file.modifiedSeconds);
    }
    let ids = 0;
    const store = await ImageStore.open(folder, {
      capacityBytes: 512 * 1024 * 1024,
      allocation: 'thin',
      newId: () => Buffer.from((++ids).toString(16).padStart(32, '0'), 'hex'),
      now: () => Date.UTC(2026, 0, 1),
    });
    return new TestPool(store, folder);
  }

  wake(): void {
    for (const goOn of this.sleeping.splice(0)) goOn();
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.store.close();
    rmSync(this.folder, { recursive: true });
  }

  /** A new disk; its name, uuid and image are all `uuid`. */
  async addVdi(uuid: string, sizeBytes: number, more: Partial<TransferVdi> = {}): Promise<TransferVdi> {
    await this.store.create(uuid, sizeBytes);
    return this.record(uuid, more);
  }

  /** Registers an image that is in the store already. */
  record(uuid: string, more: Partial<TransferVdi> = {}): TransferVdi {
    const vdi: TransferVdi = {
      ref: `OpaqueRef:${uuid}`,
      uuid,
      name: uuid,
      srRef: 'OpaqueRef:sr',
      sizeBytes: this.store.image(uuid).sizeBytes,
      type: 'user',
      readOnly: false,
      store: this.store,
      imageId: uuid,
      vhdBacked: true,
      prezeroed: true,
      ...more,
    };
    this.vdis.set(uuid, vdi);
    return vdi;
  }

  addTask(): string {
    return this.#newTask(false);
  }

  task(ref: string): TaskRecord {
    const task = this.tasks.get(ref);
    if (task === undefined) throw new Error(`no task ${ref}`);
    return task;
  }

  authenticate(credentials: Credentials): Authentication {
    const known =
      credentials.kind === 'session'
        ? credentials.ref === SESSION
        : credentials.username === 'root' && credentials.password === 'secret';
    if (!known) return { verdict: 'unauthorised' };
    const session: TransferSession = {
      ref: SESSION,
      end: () => {
        if (credentials.kind === 'basic') this.events.push('temporary session logged out');
      },
    };
    return { verdict: 'accepted', session };
  }

  openTask(options: TaskOptions): TransferTask {
    if (options.taskRef !== null && !this.tasks.has(options.taskRef)) {
      throw Object.assign(new Error('HANDLE_INVALID'), {
        code: 'HANDLE_INVALID',
        params: ['task', options.taskRef],
      });
    }
    const ref = options.taskRef ?? this.#newTask(true);
    const record = this.task(ref);
    const finish = (change: Partial<TaskRecord>): void => {
      if (record.status === 'pending') Object.assign(record, { progress: 1, ...change });
    };
    return {
      ref,
      setProgress: (fraction) => {
        record.progress = fraction;
      },
      complete: (result) => finish({ status: 'success', result }),
      fail: (failure) => finish({ status: 'failure', error_info: [failure.code, ...failure.params] }),
      cancelRequested: () => this.events.includes(`cancel ${ref}`),
      addToOtherConfig: (key, value) => this.events.push(`${key}=${value}`),
      release: () => {
        record.destroyed = record.own;
      },
    };
  }

  findVdi(refOrUuid: string): TransferVdi | null {
    return [...this.vdis.values()].find((vdi) => vdi.ref === refOrUuid || vdi.uuid === refOrUuid) ?? null;
  }

  findSr(refOrUuid: string): { ref: string; uuid: string } | null {
    return ['OpaqueRef:sr', 'sr'].includes(refOrUuid) ? { ref: 'OpaqueRef:sr', uuid: this.srUuid } : null;
  }

  defaultSr(): { ref: string; uuid: string } | null {
    return this.findSr('sr');
  }

  hostsThatSee(): readonly TransferHost[] {
    return this.plugged;
  }

  createImportedVdi(_srRef: string, sizeBytes: number): Promise<TransferVdi> {
    return this.addVdi(`imported-${++this.#ids}`, sizeBytes);
  }

  attach(vdi: TransferVdi, host: TransferHost, mode: 'RO' | 'RW'): Promise<Attachment> {
    if (this.attachFailure !== null) {
      return Promise.reject(Object.assign(new Error(this.attachFailure.code), this.attachFailure));
    }
    const entry = `${vdi.uuid} ${mode}`;
    this.attached.push(entry);
    this.events.push(`attach ${entry} to ${host.uuid}`);
    return Promise.resolve({
      vbdRef: `OpaqueRef:vbd${++this.#ids}`,
      detach: () => {
        this.attached.splice(this.attached.indexOf(entry), 1);
        this.events.push(`detach ${entry}`);
        return Promise.resolve();
      },
    });
  }

  takeFault(point: FaultPoint): TransferFault | null {
    this.events.push(`${point.transfer} of ${point.object[1] ?? ''}`);
    return this.faults.shift() ?? null;
  }

  countBytes(transfer: 'export' | 'import', bytes: number): void {
    this.bytes[transfer] += bytes;
  }

  newUuid(): string {
    return `00000000-0000-4000-8000-${(++this.#ids).toString(16).padStart(12, '0')}`;
  }

  beginVmExport(options: VmExportOptions): Promise<VmExport> {
    const begin = this.exports.get(options.vm);
    if (begin !== undefined) return begin(options);
    return Promise.reject(Object.assign(new Error('no VM'), { code: 'NO_HOSTS_AVAILABLE', params: [] }));
  }

  beginVmImport(options: VmImportOptions): Promise<VmImport> {
    return this.imports(options);
  }

  nbdPurpose(): 'nbd' | 'insecure_nbd' | null {
    return this.purpose;
  }

  #newTask(own: boolean): string {
    const ref = `OpaqueRef:task${++this.#ids}`;
    this.tasks.set(ref, {
      status: 'pending',
      result: '',
      error_info: [],
      progress: 0,
      own,
      destroyed: false,
    });
    return ref;
  }
}
