/** The process dies while it changes a job's definition. */
import { listJobs, readJob, writeJob, buryJob } from '../../../lib/engine';
import type { JobState } from '../../../lib/engine';
import { Pool } from '../../../lib/xapi';
import { endpointOf } from '../../engine/site';
import { Wrong } from '../judge';
import type { FaultPoint, Group } from '../point';
import type { Stage } from '../stage';
import { recover } from '../strike';
import { View } from '../view';
import type { VictimInput } from '../victim';

export function jobGroups(): readonly Group[] {
  return [
    {
      title: 'killed while a job is changed',
      outcome: 'the job is the old one or the new one, never gone; changing it once more leaves one entry',
      points: [
        dies('written for the first time', 'write-job', [], 'pool.add_to_other_config', 1),
        dies('changed, the new one stands', 'write-job', ['write'], 'pool.add_to_other_config', 1),
        dies('changed, the old one is gone', 'write-job', ['write'], 'pool.remove_from_other_config', 1),
        dies('buried, the tombstone stands', 'bury-job', ['write'], 'pool.add_to_other_config', 1),
        dies('buried, the old one is gone', 'bury-job', ['write'], 'pool.remove_from_other_config', 1),
        dies(
          'brought back, the new one stands',
          'write-job',
          ['write', 'bury'],
          'pool.add_to_other_config',
          1,
        ),
        dies(
          'brought back, the tombstone is gone',
          'write-job',
          ['write', 'bury'],
          'pool.remove_from_other_config',
          1,
        ),
      ],
    },
  ];
}

function dies(
  name: string,
  work: VictimInput['work'],
  before: readonly ('write' | 'bury')[],
  method: string,
  nth: number,
): FaultPoint {
  return {
    name,
    from: 'replica',
    play: async (stage) => {
      await withTarget(stage, async (target) => {
        for (const one of before)
          if (one === 'write') await writeJob(target, stage.job);
          else await buryJob(target, stage.job.jobId);
      });
      const changed = { ...stage.job, name: 'changed' };
      const victim = stage.victims.start(stage, { side: 'target', method, nth }, work, changed);
      if (!(await victim.ended).killed) throw new Wrong([`it made no ${method}`]);
      await withTarget(stage, async (target) => {
        assertOneOf(await readJob(target, changed.jobId), work);
        await writeJob(target, changed);
        const jobs = await listJobs(target);
        if (jobs.length !== 1 || jobs[0]?.definition.name !== 'changed')
          throw new Wrong([`then the jobs are ${JSON.stringify(jobs)}`]);
      });
      const entries = await jobEntries(stage);
      if (entries.length !== 1) throw new Wrong([`entries left: ${entries.join(', ')}`]);
      await recover(stage);
      await forgetJobs(stage);
    },
  };
}

/** Right after the death the new definition counts: adding it is the first thing that is done. */
function assertOneOf(state: JobState, work: VictimInput['work']): void {
  const wanted = work === 'bury-job' ? 'tombstone' : 'live';
  if (state.kind !== wanted) throw new Wrong([`the job is ${state.kind} instead of ${wanted}`]);
}

async function jobEntries(stage: Stage): Promise<readonly string[]> {
  const { poolConfig } = await View.of(stage.site.target);
  return Object.keys(poolConfig).filter((key) => key.startsWith('xenrepl:job:'));
}

async function forgetJobs(stage: Stage): Promise<void> {
  const { target } = stage.admin;
  const [pool] = (await target.call('pool.get_all')) as readonly string[];
  for (const key of await jobEntries(stage))
    await target.call('pool.remove_from_other_config', pool ?? '', key);
}

async function withTarget(stage: Stage, work: (target: Pool) => Promise<void>): Promise<void> {
  const target = await Pool.connect(endpointOf(stage.site.target));
  try {
    await work(target);
  } finally {
    await target.disconnect();
  }
}
