/** One simulated pool in a process of its own, as real pools are. Is told its specification by whoever started it. */
import { startSimulator } from '../lib/simulator';
import type { SimulatorSpec } from '../lib/simulator';

export interface PoolReady {
  readonly kind: 'ready';
  readonly controlUrl: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly fingerprints: readonly string[];
}

export interface PoolFailed {
  readonly kind: 'failed';
  readonly reason: string;
}

process.once('message', (spec: SimulatorSpec) => {
  serve(spec).catch((error: unknown) => {
    const failed: PoolFailed = {
      kind: 'failed',
      reason: error instanceof Error ? error.message : String(error),
    };
    process.send?.(failed);
    process.disconnect();
  });
});
// Ctrl-C in a terminal reaches every process of the group: whoever started this one ends it, after its clients.
process.on('SIGINT', () => undefined);

async function serve(spec: SimulatorSpec): Promise<void> {
  const simulator = await startSimulator(spec);
  const stop = (): void => void simulator.close().then(() => process.exit());
  process.once('SIGTERM', stop);
  process.once('disconnect', stop);
  const [pool] = simulator.pools.values();
  if (pool === undefined) throw new Error('the specification has no pool');
  const ready: PoolReady = {
    kind: 'ready',
    controlUrl: simulator.controlUrl,
    url: pool.url,
    username: pool.username,
    password: pool.password,
    fingerprints: pool.hosts.map(({ fingerprint }) => fingerprint),
  };
  process.send?.(ready);
}
