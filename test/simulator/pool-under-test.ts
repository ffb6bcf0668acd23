import { startSimulator, type PoolSpec, type SimulatedPool, type Simulator } from '../../lib/simulator';
import type { SimulatorOptions } from '../../lib/simulator';

/** Whatever came back; tests look into it by {@link field}. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type Record = { readonly [key: string]: Json };

export const NULL = 'OpaqueRef:NULL';
export const MIB = 1024 ** 2;

export const smallPool: PoolSpec = {
  name: 'test',
  hosts: [{ name: 'host1' }],
  srs: [{ name: 'storage', type: 'ext', sizeBytes: 1024 * MIB }],
  networks: [{ name: 'network' }],
  vms: [],
  coalesceDelayMs: null,
};

/** One simulated pool and a session in it, spoken to as a client would: JSON-RPC 2.0 over HTTP. */
export class PoolUnderTest {
  session = '';

  private constructor(
    readonly simulator: Simulator,
    readonly pool: SimulatedPool,
  ) {}

  static async start(
    changes: Partial<PoolSpec> = {},
    options: SimulatorOptions = {},
  ): Promise<PoolUnderTest> {
    const simulator = await startSimulator(
      { pools: [{ ...smallPool, ...changes }] },
      { plainHttp: true, ...options },
    );
    const started = new PoolUnderTest(simulator, simulator.pool(changes.name ?? smallPool.name));
    try {
      await started.login();
    } catch (error) {
      await simulator.close();
      throw error;
    }
    return started;
  }

  get url(): string {
    if (this.pool.plainUrl === null) throw new Error('the pool was started without plain HTTP');
    return this.pool.plainUrl;
  }

  async login(originator = 'tests'): Promise<string> {
    const { username, password } = this.pool;
    this.session = text(
      await this.raw('session.login_with_password', [username, password, '1.0', originator]),
    );
    return this.session;
  }

  /** Calls with the session in front. Rejects with the error's code and parameters. */
  call(method: string, ...params: readonly Json[]): Promise<Json> {
    return this.raw(method, [this.session, ...params]);
  }

  async raw(method: string, params: readonly Json[], url = this.url): Promise<Json> {
    const reply = await this.post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }), url);
    const { error } = reply as {
      error?: readonly string[] | { message: string; data: readonly string[] } | null;
    };
    if (error === undefined || error === null) return reply['result'] ?? null;
    throw new CallError('message' in error ? [error.message, ...error.data] : error);
  }

  async post(body: string, url = this.url): Promise<Record> {
    const response = await fetch(`${url}/jsonrpc`, {
      method: 'POST',
      body,
      headers: { connection: 'close' },
    });
    return (await response.json()) as Record;
  }

  /** The error of a call that has to fail, as the list that the server gives. */
  async failure(method: string, ...params: readonly Json[]): Promise<readonly string[]> {
    return failureOf(this.call(method, ...params));
  }

  async ref(method: string, ...params: readonly Json[]): Promise<string> {
    return text(await this.call(method, ...params));
  }

  async record(className: string, ref: string): Promise<Record> {
    return (await this.call(`${className}.get_record`, ref)) as Record;
  }

  async only(className: string): Promise<string> {
    const refs = (await this.call(`${className}.get_all`)) as string[];
    if (refs.length !== 1) throw new Error(`expected one ${className}, found ${refs.length}`);
    return text(refs[0] ?? null);
  }

  createVm(changes: Record = {}): Promise<string> {
    return this.ref('VM.create', { ...vmRecord, ...changes });
  }

  async createVdi(changes: Record = {}): Promise<string> {
    return this.ref('VDI.create', { ...vdiRecord, SR: await this.only('SR'), ...changes });
  }

  createVbd(vm: string, vdi: string, changes: Record = {}): Promise<string> {
    return this.ref('VBD.create', { ...vbdRecord, VM: vm, VDI: vdi, ...changes });
  }

  close(): Promise<void> {
    return this.simulator.close();
  }
}

/** What the server said: code and parameters. Releases before 7.3 say it as a list, later ones as an object. */
export class CallError extends Error {
  constructor(readonly description: readonly string[]) {
    super(description.join(' '));
  }
}

export async function failureOf(call: Promise<unknown>): Promise<readonly string[]> {
  try {
    await call;
  } catch (error) {
    if (error instanceof CallError) return error.description;
    throw error;
  }
  throw new Error('the call was expected to fail and succeeded');
}

export function text(value: Json | undefined): string {
  if (typeof value !== 'string') throw new Error(`expected a string, got ${JSON.stringify(value)}`);
  return value;
}

export const vmRecord: Record = {
  name_label: 'vm',
  name_description: '',
  user_version: 1,
  is_a_template: false,
  affinity: NULL,
  memory_static_max: 256 * MIB,
  memory_dynamic_max: 256 * MIB,
  memory_dynamic_min: 256 * MIB,
  memory_static_min: 128 * MIB,
  VCPUs_params: {},
  VCPUs_max: 1,
  VCPUs_at_startup: 1,
  actions_after_shutdown: 'destroy',
  actions_after_reboot: 'restart',
  actions_after_crash: 'restart',
  PV_bootloader: '',
  PV_kernel: '',
  PV_ramdisk: '',
  PV_args: '',
  PV_bootloader_args: '',
  PV_legacy_args: '',
  HVM_boot_policy: 'BIOS order',
  HVM_boot_params: { order: 'cd' },
  platform: {},
  PCI_bus: '',
  other_config: {},
  recommendations: '',
};

export const vdiRecord: Record = {
  name_label: 'disk',
  name_description: '',
  virtual_size: 8 * MIB,
  type: 'user',
  sharable: false,
  read_only: false,
  other_config: {},
};

export const vbdRecord: Record = {
  userdevice: '0',
  bootable: false,
  mode: 'RW',
  type: 'Disk',
  empty: false,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
};
