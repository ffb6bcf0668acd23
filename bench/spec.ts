/** Which pools are simulated. */
import type { PoolSpec, VmSpec } from '../lib/simulator';
import { gib, mib } from './measure';

export interface SiteSpec {
  /** Each with one disk of each size. */
  readonly vms: readonly {
    readonly name: string;
    readonly diskSizesBytes: readonly number[];
    /** Default: `protect`, by which jobs select. */
    readonly tags?: readonly string[];
  }[];
  /** Others in both pools, which no job is about. */
  readonly bystanders?: number;
  /** The source pool's hosts serve disks over NBD. */
  readonly nbd?: boolean;
}

export function poolSpecs({ vms, bystanders = 0, nbd = false }: SiteSpec): {
  readonly source: PoolSpec;
  readonly target: PoolSpec;
} {
  const others = Array.from({ length: bystanders }, (_, index) => `bystander ${String(index)}`);
  const pool = (name: string, protectedVms: readonly VmSpec[]): PoolSpec => ({
    name,
    hosts: [{ name: `${name}-1` }],
    srs: [{ name: `${name}-sr`, type: 'ext', sizeBytes: 4096 * gib, default: true }],
    networks: [{ name: 'lan', ...(nbd && name === 'source' ? { purpose: 'nbd' as const } : {}) }],
    vms: [...protectedVms, ...others.map((other) => vm(name, other, [2 * mib], []))],
    // Told to: in the background it would take time from whatever is measured just then.
    coalesceDelayMs: null,
  });
  return {
    source: pool(
      'source',
      vms.map(({ name, diskSizesBytes, tags = ['protect'] }) => vm('source', name, diskSizesBytes, tags)),
    ),
    target: pool('target', []),
  };
}

function vm(pool: string, name: string, diskSizesBytes: readonly number[], tags: readonly string[]): VmSpec {
  return {
    name,
    tags: [...tags],
    running: true,
    disks: diskSizesBytes.map((sizeBytes, device) => ({
      device,
      name: `${name} ${String(device)}`,
      sizeBytes,
      sr: `${pool}-sr`,
    })),
    vifs: [{ network: 'lan' }],
  };
}
