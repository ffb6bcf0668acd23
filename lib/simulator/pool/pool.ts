import { setMaxListeners } from 'node:events';
import type { ImageStore } from '../storage';
import { Clock, formatDate } from '../clock';
import { Database } from '../database/database';
import { datamodelOf, type Datamodel } from '../datamodel/model';
import { releases, type Release, type ReleaseFacts } from '../datamodel/releases';
import { ApiError } from '../errors';
import { Random } from '../random';
import { textOf, type Value } from '../rpc/unmarshal';
import { coalesce } from './disks';
import { Events } from './events';
import { Faults } from './faults';
import type { Host } from './host';
import { Operations, Queue } from './operations';
import { Sessions } from './sessions';
import { Tasks } from './tasks';

/** How often the coordinator looks for what has expired. */
const collectIntervalMs = 30_000;

export interface User {
  readonly name: string;
  readonly password: string;
  /** `pool-admin` may do everything; see `roles.ts` for the others. */
  readonly role: string;
}

export interface PoolOptions {
  readonly name: string;
  readonly release: Release;
  readonly seed: string;
  readonly users: readonly User[];
  /** A wrong password is answered after this long. */
  readonly wrongPasswordDelayMs: number;
  readonly coalesceDelayMs: number | null;
  readonly cutRawUpload: 'fails' | 'succeeds';
}

/** What a client did since the counters were last reset. */
export interface Counters {
  readonly calls: Record<string, number>;
  bytesImported: number;
  bytesExported: number;
}

/** Everything one simulated pool knows: its database and the services around it. */
export class Pool {
  readonly name: string;
  readonly release: Release;
  readonly facts: ReleaseFacts;
  readonly model: Datamodel;
  readonly users: readonly User[];
  readonly wrongPasswordDelayMs: number;
  readonly clock = new Clock();
  readonly random: Random;
  readonly db: Database;
  readonly sessions: Sessions;
  readonly tasks: Tasks;
  readonly events: Events;
  readonly operations: Operations;
  readonly faults = new Faults();
  readonly hosts: Host[] = [];
  /** The disks of each SR, by the SR's ref. */
  readonly stores = new Map<string, ImageStore>();
  counters: Counters = { calls: {}, bytesImported: 0, bytesExported: 0 };
  /** Contents of vTPMs, base64, by the vTPM's ref. They are secrets and so no field. */
  readonly vtpmContents = new Map<string, string>();
  /** Where each host's NBD server listens, by the host's ref. */
  readonly nbdPorts = new Map<string, number>();
  /** Hosts that are switched off: they take no connection and are not live. */
  readonly offline = new Set<string>();
  /** Load averages of control domains, by the host's ref; null: the host keeps no such figure. */
  readonly controlDomainLoads = new Map<string, number | null>();
  #lastDomain = 0;
  readonly #storageQueues = new Map<string, Queue>();
  /** What becomes of a plain raw upload that ends early: `succeeds` as the real server, with stale bytes on the disk. */
  readonly cutRawUpload: 'fails' | 'succeeds';
  /** Null: files are merged only when the control API says so. */
  readonly coalesceDelayMs: number | null;
  readonly #timer: NodeJS.Timeout;
  readonly #lifetime = new AbortController();
  readonly #coalesceTimers = new Map<string, NodeJS.Timeout>();

  constructor(options: PoolOptions) {
    this.name = options.name;
    this.release = options.release;
    this.facts = releases[options.release];
    this.model = datamodelOf(options.release);
    this.users = options.users;
    this.wrongPasswordDelayMs = options.wrongPasswordDelayMs;
    this.coalesceDelayMs = options.coalesceDelayMs;
    this.cutRawUpload = options.cutRawUpload;
    this.random = new Random(`${options.seed}/${options.name}`);
    this.db = new Database(this.model, this.random);
    this.sessions = new Sessions(this.db, this.clock);
    this.tasks = new Tasks(this.db, this.clock);
    this.events = new Events(this.db, this.clock, this.sessions);
    this.operations = new Operations(this.db, this.clock);
    // Every blocked call of every client listens to it.
    setMaxListeners(0, this.#lifetime.signal);
    this.clock.onAdvance(() => this.collect());
    this.#timer = setInterval(() => this.collect(), collectIntervalMs);
    this.#timer.unref();
  }

  /** Ends background work; calls that still wait are dropped. */
  close(): void {
    clearInterval(this.#timer);
    for (const timer of this.#coalesceTimers.values()) clearTimeout(timer);
    this.#coalesceTimers.clear();
    this.#lifetime.abort(new Error(`simulated pool ${this.name} was closed`));
  }

  /** Aborted when the pool is closed. */
  get lifetime(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** The storage manager merges files some time after disks were destroyed, in the background. */
  scheduleCoalesce(sr: string): void {
    if (this.coalesceDelayMs === null || this.#coalesceTimers.has(sr)) return;
    const timer = setTimeout(() => {
      this.#coalesceTimers.delete(sr);
      void coalesce(this, sr).catch(() => this.scheduleCoalesce(sr));
    }, this.coalesceDelayMs);
    timer.unref();
    this.#coalesceTimers.set(sr, timer);
  }

  /** The one object of class pool. */
  get ref(): string {
    const ref = this.db.table('pool').refs()[0];
    if (ref === undefined) throw new Error(`pool ${this.name} has no pool object yet`);
    return ref;
  }

  get coordinator(): Host {
    return this.hostOf(this.db.text('pool', this.ref, 'master'));
  }

  /** @throws ApiError HANDLE_INVALID */
  hostOf(ref: string): Host {
    const host = this.hosts.find((candidate) => candidate.ref === ref);
    if (host === undefined) throw new ApiError('HANDLE_INVALID', 'host', ref);
    return host;
  }

  /** The disks of an SR. @throws ApiError HANDLE_INVALID */
  storeOf(sr: string): ImageStore {
    const store = this.stores.get(sr);
    if (store === undefined) throw new ApiError('HANDLE_INVALID', 'SR', sr);
    return store;
  }

  /** The storage manager works on one SR one step at a time. */
  inStorage<T>(sr: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#storageQueues.get(sr) ?? new Queue();
    this.#storageQueues.set(sr, queue);
    return queue.run(work);
  }

  /** Leaves a message for administrators. Gives its ref. */
  announce(name: string, className: string, uuid: string, body: string, priority = 3): string {
    return this.db.create('message', {
      name,
      priority,
      cls: className,
      obj_uuid: uuid,
      timestamp: formatDate(this.clock.now()),
      body,
    });
  }

  nextDomain(): number {
    return ++this.#lastDomain;
  }

  /** What does not outlive the coordinator's toolstack: sessions, tasks, fields that are not persistent. */
  restartCoordinator(): void {
    const { generation } = this.db;
    this.sessions.closeAll();
    this.tasks.clear();
    for (const [className, table] of this.db.tables()) {
      const lost = [...table.model.fields.values()].filter((field) => field.name === 'current_operations');
      for (const ref of table.refs())
        for (const field of lost) this.db.set(className, ref, field.name, field.initial as Value);
    }
    this.db.fallBehind(generation);
  }

  /** Makes another host the coordinator: refs stay; sessions, tasks and tokens do not. */
  moveCoordinator(host: string): void {
    this.db.set('pool', this.ref, 'master', this.hostOf(host).ref);
    this.restartCoordinator();
  }

  /** What the coordinator's garbage collection does every 30 seconds. */
  collect(): void {
    this.tasks.collect();
    this.sessions.collect();
    for (const [className, field, target] of danglingParts) {
      for (const [ref, row] of [...this.db.table(className).rows()]) {
        const whole = textOf(row[field]);
        if (whole !== 'OpaqueRef:NULL' && !this.db.exists(target, whole)) this.db.destroy(className, ref);
      }
    }
    this.#heartbeat();
  }

  /** Hosts write how they are all the time, and with that everybody who listens to everything gets events. */
  #heartbeat(): void {
    const now = formatDate(this.clock.now());
    for (const metrics of this.db.table('host_metrics').refs())
      this.db.set('host_metrics', metrics, 'last_updated', now);
  }
}

/** Parts without their whole are collected. */
const danglingParts = [
  ['VBD', 'VM', 'VM'],
  ['VBD', 'VDI', 'VDI'],
  ['VIF', 'VM', 'VM'],
  ['PBD', 'host', 'host'],
  ['PBD', 'SR', 'SR'],
] as const;
