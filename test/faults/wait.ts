import type { Side, Stage } from './stage';

const pollMs = 5;
const waitMaxMs = 20_000;

/** Waits until `holds`, at most twenty seconds. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + waitMaxMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${String(waitMaxMs)} ms in vain: ${what}`);
    await pause(pollMs);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** How many disks of a pool a control domain holds: transfers that are still alive. */
export async function busyDisks(stage: Stage, side: Side): Promise<number> {
  const { VBD = {}, VM = {} } = await stage.site[side].control.inventory();
  return Object.values(VBD).filter((vbd) => VM[String(vbd['VM'])]?.['is_control_domain'] === true).length;
}
