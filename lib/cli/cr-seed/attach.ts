/** What `xo-cr-seed` does, once its arguments are read. */
import { readJob } from '../../engine';
import type { SeedJob } from '../../planner/seed';
import { Pool } from '../../xapi';
import type { PoolEndpoint } from '../../xapi';
import { answer } from '../command';
import type { Command } from '../command';
import { attachLines, attachShowing } from '../commands/seed-attach';
import { exitCodes } from '../exit-codes';

export interface CrSeedOptions {
  readonly source: PoolEndpoint;
  readonly snapshot: string;
  readonly target: PoolEndpoint;
  readonly targetVm: string;
  readonly jobId: string;
  readonly scheduleId: string;
  readonly verify: 'none' | 'sampled' | 'full';
  readonly repair: boolean;
}

export async function crSeed(command: Command, options: CrSeedOptions): Promise<number> {
  const { signal, warn } = command;
  const pools: Pool[] = [];
  const connect = async (to: PoolEndpoint): Promise<Pool> => {
    const pool = await Pool.connect(to, { signal, onWarning: warn });
    pools.push(pool);
    return pool;
  };
  try {
    const target = await connect(options.target);
    const source = await connect(options.source);
    const job = await jobOf(command, target, options);
    const report = await attachShowing(command, {
      source,
      target,
      job,
      snapshotUuid: options.snapshot,
      targetVmUuid: options.targetVm,
      verify: options.verify,
      repair: options.repair,
    });
    answer(command, { kind: 'report', ...report }, () => attachLines(report, command.out.width));
    return exitCodes.ok;
  } finally {
    await Promise.all(pools.map((pool) => pool.disconnect()));
  }
}

/** The ids are kept as they were given. What else a seed needs is looked up, where a job of that id is stored. */
async function jobOf(
  { signal, note, warn }: Command,
  target: Pool,
  { jobId, scheduleId }: CrSeedOptions,
): Promise<SeedJob> {
  const state = await readJob(target, jobId, { signal });
  if (state.kind !== 'live') {
    note(`pool "${target.name}" holds no job ${jobId}: the SR is taken from the disks of the target VM`);
    return { jobId, scheduleId, name: null, srUuid: null, selection: null };
  }
  const { definition } = state;
  if (definition.scheduleId !== scheduleId) {
    warn(
      `job "${definition.name}" has schedule ${definition.scheduleId}; the one given, ${scheduleId}, is written`,
    );
  }
  return {
    jobId,
    scheduleId,
    name: definition.name,
    srUuid: definition.target.srUuid,
    selection: definition.selection,
  };
}
