/** Tasks of transfers whose run died: the name that we gave them says whose they were. */
import type { JobDefinition } from '../../planner/job';
import { isOfTarget, parseTemporaryName } from '../../planner/marks';
import type { Leftover } from '../../planner/observation';
import type { World } from './world';

export function leftTasks(
  world: World,
  side: 'source' | 'target',
  job: JobDefinition,
  sourceVmUuid: string,
): readonly Leftover[] {
  return [...world.tasks].flatMap(([ref, task]): Leftover[] => {
    const name = parseTemporaryName(task.name_label);
    if (name?.role !== 'transfer' || name.sourceVm !== sourceVmUuid) return [];
    if (!isOfTarget(name, job.jobId, job.target.srUuid)) return [];
    const id = { ref, uuid: task.uuid, name: task.name_label };
    return [{ kind: 'task', side, id, run: name.run, disks: [], reclaimableBytes: 0 }];
  });
}
