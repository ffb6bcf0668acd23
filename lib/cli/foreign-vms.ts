import { selectVms } from '../engine';
import type { JobDefinition } from '../planner/job';
import type { CallOptions, Pool } from '../xapi';
import { CliError } from './failure';
import { counted } from './output/text';

/**
 * Refuses `--vm` of a VM that the job does not protect: left out in silence it would look as if it were replicated.
 *
 * @throws CliError `vm-not-in-job`
 */
export async function refuseForeignVms(
  source: Pool,
  job: JobDefinition,
  onlyVms: readonly string[] | null,
  options: CallOptions,
): Promise<void> {
  if (onlyVms === null) return;
  const selected = await selectVms(source, job, null, options);
  const foreign = onlyVms.filter((uuid) => !selected.some((vm) => vm.uuid.toLowerCase() === uuid));
  if (foreign.length === 0) return;
  const known = selected.map(({ name, uuid }) => `"${name}" (${uuid})`).join(', ');
  throw new CliError(
    'vm-not-in-job',
    `Job "${job.name}" (${job.jobId}) does not select VM ${foreign.join(', ')}`,
    known === '' ? 'it selects no VM at present' : `it selects ${counted(selected.length, 'VM')}: ${known}`,
  );
}
