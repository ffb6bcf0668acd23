import { LocalControl } from './control/control';
import type { PoolControl } from './control/api';
import { serveControl, type ControlServer, type PoolDescription } from './control/http';
import { servePool, type RunningPool } from './server';
import { checkSpec, type PoolSpec, type SimulatorSpec } from './spec';
import { makeTemporaryFolder, removeTemporaryFolder } from './temporary-folder';

export interface SimulatorOptions {
  /** Keeps everything (objects, disks, certificates, addresses) over restarts. Default: a folder that is removed at the end, or as the process exits. */
  readonly stateDir?: string;
  /** Every host also speaks plain HTTP, on a port of its own. */
  readonly plainHttp?: boolean;
}

export interface SimulatedHost {
  readonly name: string;
  readonly url: string;
  /** Null unless plain HTTP was asked for. */
  readonly plainUrl: string | null;
  /** SHA-256 of its certificate, `AA:BB:…`. */
  readonly fingerprint: string;
  /** Where its NBD server listens; null for releases without one. */
  readonly nbdPort: number | null;
}

/** A pool that can be reached. */
export interface SimulatedPool {
  readonly name: string;
  /** The coordinator. */
  readonly url: string;
  readonly plainUrl: string | null;
  readonly hosts: readonly SimulatedHost[];
  readonly username: string;
  readonly password: string;
  readonly control: PoolControl;
}

export interface Simulator extends AsyncDisposable {
  readonly pools: ReadonlyMap<string, SimulatedPool>;
  readonly controlUrl: string;
  /** @throws Error when there is no pool of that name. */
  pool(name: string): SimulatedPool;
  /** Ends everything: no process, port or temporary folder is left. */
  close(): Promise<void>;
}

/**
 * Starts simulated pools in this process.
 * @throws Error when the spec is not valid or a socket cannot be opened; nothing is left running then.
 */
export async function startSimulator(
  spec: SimulatorSpec,
  options: SimulatorOptions = {},
): Promise<Simulator> {
  const checked = checkSpec(spec);
  const folder = options.stateDir ?? (await makeTemporaryFolder());
  const parts = new Parts(options.stateDir === undefined ? folder : null);
  try {
    for (const pool of checked.pools)
      await parts.add(pool, {
        seed: checked.seed ?? 1,
        plainHttp: options.plainHttp === true,
        folder,
        keepsState: options.stateDir !== undefined,
      });
    await parts.serveControl();
  } catch (error) {
    await parts.close();
    throw error;
  }
  return parts;
}

interface ServeSettings {
  readonly seed: number;
  readonly plainHttp: boolean;
  readonly folder: string;
  readonly keepsState: boolean;
}

class Parts implements Simulator {
  readonly pools = new Map<string, SimulatedPool>();
  readonly #running: RunningPool[] = [];
  readonly #controls = new Map<string, LocalControl>();
  readonly #temporaryFolder: string | null;
  #controlServer: ControlServer | null = null;
  #closing: Promise<void> | null = null;

  constructor(temporaryFolder: string | null) {
    this.#temporaryFolder = temporaryFolder;
  }

  get controlUrl(): string {
    return this.#controlServer?.url ?? '';
  }

  pool(name: string): SimulatedPool {
    const pool = this.pools.get(name);
    if (pool !== undefined) return pool;
    throw new Error(`there is no pool "${name}"; known: ${[...this.pools.keys()].join(', ')}`);
  }

  async add(spec: PoolSpec, settings: ServeSettings): Promise<void> {
    const running = await servePool(spec, settings);
    this.#running.push(running);
    const control = new LocalControl(running.pool, (host) =>
      running.hosts.find((candidate) => candidate.ref === host.ref)?.cut(),
    );
    this.#controls.set(spec.name, control);
    this.pools.set(spec.name, publicView(spec, running, control));
  }

  async serveControl(): Promise<void> {
    this.#controlServer = await serveControl(this.#controls, () => this.#describe());
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeAll(): Promise<void> {
    for (const control of this.#controls.values()) await control.close();
    await this.#controlServer?.close();
    for (const running of this.#running) await running.close();
    if (this.#temporaryFolder !== null) await removeTemporaryFolder(this.#temporaryFolder);
  }

  #describe(): PoolDescription[] {
    return [...this.pools.values()].map(({ name, url, plainUrl, username, password, hosts }) => ({
      name,
      url,
      plainUrl,
      username,
      password,
      hosts,
    }));
  }
}

/** The coordinator may change, so what names it is looked up at each question. */
function publicView(spec: PoolSpec, running: RunningPool, control: PoolControl): SimulatedPool {
  const coordinator = (): SimulatedHost => {
    const host = running.hosts.find((candidate) => candidate.ref === running.pool.coordinator.ref);
    if (host === undefined) throw new Error(`pool "${spec.name}" has no coordinator`);
    return host;
  };
  return {
    name: spec.name,
    get url() {
      return coordinator().url;
    },
    get plainUrl() {
      return coordinator().plainUrl;
    },
    hosts: running.hosts.map(({ name, url, plainUrl, fingerprint, nbdPort }) => ({
      name,
      url,
      plainUrl,
      fingerprint,
      nbdPort,
    })),
    username: spec.username ?? 'root',
    password: spec.password ?? 'secret',
    control,
  };
}
