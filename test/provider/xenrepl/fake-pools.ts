import * as jobs from '../../../lib/engine/jobs';
import { missingPermissions } from '../../../lib/engine/observe/permissions';
import * as replicas from '../../../lib/engine/replicas';
import type { Provider } from '../../../lib/provider/framework';
import type { EngineSide } from '../../../lib/provider/xenrepl/connections';
import { xenreplProvider } from '../../../lib/provider/xenrepl/provider';
import type { Session } from '../../../lib/provider/xenrepl/session';
import { TransportError, XapiError } from '../../../lib/xapi';
import type { Pool, PoolEndpoint } from '../../../lib/xapi';

export const ids = {
  paris: '11111111-1111-4111-8111-111111111111',
  munich: '22222222-2222-4222-8222-222222222222',
  nas: '33333333-3333-4333-8333-333333333333',
  iso: '44444444-4444-4444-8444-444444444444',
  twin1: '55555555-5555-4555-8555-555555555551',
  twin2: '55555555-5555-4555-8555-555555555552',
  web: '66666666-6666-4666-8666-66666666666a',
  snapshot: '77777777-7777-4777-8777-777777777777',
  run: '88888888-8888-4888-8888-888888888888',
} as const;

interface Named {
  readonly uuid: string;
  readonly name_label: string;
}

/**
 * Just as much of a pool as the provider asks of one, with the faults a test wants. The engine's own code works on it;
 * the simulator plays whole pools in the tests over TLS.
 */
export class FakePool {
  readonly name: string;
  readonly label: string;
  uuid: string;
  readonly ref = 'OpaqueRef:pool';
  readonly otherConfig: Record<string, string> = { unrelated: 'kept' };
  readonly calls: string[] = [];
  readonly granted = new Set<string>();
  /** Null where every call and the connection itself work. */
  failure: Error | null = null;
  /** Fails one method only. */
  readonly failing = new Map<string, Error>();
  permission: 'all' | ReadonlySet<string> = 'all';
  srs: (Named & { readonly content_type: string })[] = [];
  networks: Named[] = [];
  vms: (Named & { readonly is_a_snapshot: boolean })[] = [];
  disconnected = 0;

  constructor(name: string, uuid: string) {
    this.name = name;
    this.label = `${name} pool`;
    this.uuid = uuid;
  }

  call(method: string, params: readonly unknown[]): Promise<unknown> {
    this.calls.push(method);
    const failure = this.failure ?? this.failing.get(method);
    if (failure !== undefined) return Promise.reject(failure);
    return new Promise((resolve) => {
      resolve(this.#answer(method, params));
    });
  }

  /** All classes at once, as the engine looks at a pool: it holds no such objects. */
  read(selection: Readonly<Record<string, unknown>>): Promise<unknown> {
    this.calls.push('read');
    if (this.failure !== null) return Promise.reject(this.failure);
    return Promise.resolve(Object.fromEntries(Object.keys(selection).map((name) => [name, new Map()])));
  }

  permissions(): Promise<'all' | ReadonlySet<string>> {
    return this.failure === null ? Promise.resolve(this.permission) : Promise.reject(this.failure);
  }

  disconnect(): Promise<void> {
    this.disconnected += 1;
    return Promise.resolve();
  }

  refuse(code: string, method = 'any', params: readonly string[] = []): XapiError {
    return new XapiError({ code, params, method, poolName: this.name });
  }

  silence(kind: TransportError['kind'] = 'connection'): TransportError {
    return new TransportError({
      kind,
      retry: 'later',
      what: 'connect ECONNREFUSED',
      hint: 'is the coordinator up?',
      poolName: this.name,
    });
  }

  #answer(method: string, params: readonly unknown[]): unknown {
    const [, key, value] = params as readonly string[];
    switch (method) {
      case 'pool.get_other_config':
        return { ...this.otherConfig };
      case 'pool.add_to_other_config':
        if (key !== undefined && key in this.otherConfig) throw this.refuse('MAP_DUPLICATE_KEY', method);
        this.otherConfig[String(key)] = String(value);
        return '';
      case 'pool.remove_from_other_config':
        Reflect.deleteProperty(this.otherConfig, String(key));
        return '';
      case 'SR.get_all_records':
        return records(this.srs);
      case 'network.get_all_records':
        return records(this.networks);
      case 'VM.get_by_uuid': {
        const wanted = String(params[0]).toLowerCase();
        if (this.vms.every(({ uuid }) => uuid !== wanted))
          throw this.refuse('UUID_INVALID', method, [wanted]);
        return `OpaqueRef:${wanted}`;
      }
      case 'VM.get_record':
        return this.vms.find(({ uuid }) => `OpaqueRef:${uuid}` === params[0]);
      default:
        if (method.endsWith('.get_all_records')) return {};
        throw new Error(`The fake pool does not know ${method}`);
    }
  }
}

/** Two pools, Paris and Munich, and the provider that reaches them. */
export class FakeWorld {
  readonly paris = new FakePool('paris', ids.paris);
  readonly munich = new FakePool('munich', ids.munich);
  /** By name in the pools file. */
  readonly pools = new Map([
    ['paris', this.paris],
    ['munich', this.munich],
  ]);
  /** What the connection warns of. */
  warning: string | null = null;
  connects = 0;
  nowMs = 0;
  /** What the engine finds of replicas, and the jobs it was asked about. */
  replicas: readonly replicas.ReplicaSummary[] = [];
  readonly askedFor: (string | null)[] = [];

  constructor() {
    this.munich.srs = [
      { uuid: ids.nas, name_label: 'nas', content_type: 'user' },
      { uuid: ids.iso, name_label: 'isos', content_type: 'iso' },
      { uuid: ids.twin1, name_label: 'twin', content_type: 'user' },
      { uuid: ids.twin2, name_label: 'twin', content_type: 'user' },
    ];
    this.munich.networks = [{ uuid: 'net-m', name_label: 'LAN Munich' }];
    this.paris.networks = [{ uuid: 'net-p', name_label: 'LAN Paris' }];
    this.paris.vms = [
      { uuid: ids.web, name_label: 'web', is_a_snapshot: false },
      { uuid: ids.snapshot, name_label: 'web before', is_a_snapshot: true },
    ];
  }

  provider(): Provider<Session> {
    return xenreplProvider({
      cwd: '/nowhere',
      env: {},
      home: '/nowhere',
      now: () => this.nowMs,
      newId: () => ids.run,
      who: 'a test',
      log: () => undefined,
      loadEngineSide: () => Promise.resolve(this.#engineSide()),
    });
  }

  #engineSide(): EngineSide {
    const connect = (endpoint: PoolEndpoint, options: { onWarning?: (text: string) => void }) => {
      this.connects += 1;
      if (this.warning !== null) options.onWarning?.(this.warning);
      const pool = this.pools.get(endpoint.name);
      if (pool === undefined) throw new Error(`no pool ${endpoint.name}`);
      return pool.failure === null ? Promise.resolve(pool as unknown as Pool) : Promise.reject(pool.failure);
    };
    const doubles = {
      ...jobs,
      ...replicas,
      listReplicas: (pool: FakePool, jobId: string | null) => {
        this.askedFor.push(jobId);
        return pool.call('pool.get_other_config', []).then(() => this.replicas);
      },
      missingPermissions,
      TransportError,
      XapiError,
      Pool: { connect },
      findPoolsFile: () => 'pools.yaml',
      loadPoolsFile: (path: string) => {
        if (path !== 'pools.yaml') throw new Error(`Cannot read "${path}"`);
        return { path, pools: this.pools };
      },
      endpoint: (_file: unknown, name: string) => ({ name }),
    };
    return doubles as unknown as EngineSide;
  }
}

function records(objects: readonly Named[]): Readonly<Record<string, Named>> {
  return Object.fromEntries(objects.map((object) => [`OpaqueRef:${object.uuid}`, object]));
}
