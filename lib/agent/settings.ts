/** How the agent goes about it; everything has a default. */
export interface AgentSettings {
  /** How often each target pool is looked at: within this time changes made by Terraform are followed. */
  readonly pollMs: number;
  /** How often all VMs of a target pool are looked at, where its locks do not tell that something was run. */
  readonly replicasEveryMs: number;
  /** Runs at once: in all, and with one pool on either side. */
  readonly concurrency: { readonly total: number; readonly perPool: number };
  /** How long runs may clean up after they were told to stop. */
  readonly stopWithinMs: number;
}

export const defaultSettings: AgentSettings = {
  pollMs: 30_000,
  replicasEveryMs: 300_000,
  concurrency: { total: 4, perPool: 2 },
  stopWithinMs: 8_000,
};
