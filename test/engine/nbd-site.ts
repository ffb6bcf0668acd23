/** The default site, whose source pool serves NBD. */
import type { RunReport } from '../../lib/engine';
import { jobDefaults } from '../../lib/planner/job';
import type { JobTransfer } from '../../lib/planner/job';
import type { PoolSpec, SimulatorSpec } from '../../lib/simulator/spec';
import { defaultSpec } from './site';

/** @param changes to the source pool */
export function nbdSpec(changes: Partial<PoolSpec> = {}): SimulatorSpec {
  const [source, target] = defaultSpec.pools;
  if (source === undefined || target === undefined) throw new Error('the default site has two pools');
  const networks = [{ name: 'lan', purpose: 'nbd' as const }];
  return { ...defaultSpec, pools: [{ ...source, networks, ...changes }, target] };
}

/** A job that turns tracking on by itself. */
export function tracked(changes: Partial<JobTransfer> = {}): { readonly transfer: JobTransfer } {
  return { transfer: { ...jobDefaults.transfer, enableCbt: true, ...changes } };
}

/** How each disk was read: `1 delta nbd`. */
export function methods(report: RunReport): readonly string[] {
  return (report.vms[0]?.disks ?? []).map(
    ({ device, copyKind, method }) => `${device} ${copyKind} ${method}`,
  );
}
