import { verbs, type PoolControl } from './api';
import { decode, encode, type PoolDescription } from './http';

/** A simulator in another process, driven over its control URL. */
export class SimulatorClient {
  readonly pools: readonly PoolDescription[];
  readonly #controlUrl: string;

  constructor(controlUrl: string, pools: readonly PoolDescription[]) {
    this.#controlUrl = controlUrl;
    this.pools = pools;
  }

  /** The control verbs of one pool. @throws Error when there is no pool of that name. */
  control(poolName: string): PoolControl {
    if (!this.pools.some((pool) => pool.name === poolName))
      throw new Error(
        `there is no pool "${poolName}"; known: ${this.pools.map((pool) => pool.name).join(', ')}`,
      );
    const base = `${this.#controlUrl}/${encodeURIComponent(poolName)}`;
    const methods = verbs.map((verb) => [
      verb,
      (...parameters: readonly unknown[]) => post(`${base}/${verb}`, parameters),
    ]);
    return Object.fromEntries(methods) as PoolControl;
  }
}

/** Connects to the control URL that a simulator prints when it is ready. */
export async function connectSimulator(controlUrl: string): Promise<SimulatorClient> {
  const url = controlUrl.replace(/\/$/, '');
  const response = await fetch(`${url}/`);
  const { pools } = (await response.json()) as { pools: PoolDescription[] };
  return new SimulatorClient(url, pools);
}

async function post(url: string, parameters: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(parameters.map(encode)) });
  const body = (await response.json()) as { result?: unknown; error?: string };
  if (body.error !== undefined) throw new Error(body.error);
  return decode(body.result);
}
