import { jobDefaults, keepLatest } from '../../lib/planner/job';
import { chooseJob, jobIdOf } from '../../lib/cli/find-job';
import { CliError } from '../../lib/cli/failure';
import type { StoredJob } from '../../lib/planner/job-keys';

function job(jobId: string, name: string, deleted = false): StoredJob {
  return {
    revision: 1,
    deleted,
    definition: {
      ...jobDefaults,
      schemaVersion: 1,
      jobId,
      scheduleId: 's',
      name,
      enabled: true,
      source: { poolName: 'paris', poolUuid: null },
      target: { poolName: 'lyon', poolUuid: 'p', srUuid: 'sr' },
      selection: { uuids: [], tags: ['protect'] },
      schedule: { kind: 'manual' },
      retention: keepLatest(3),
      networkMap: {},
      onUnmappedNetwork: 'fail',
      onMissingBase: 'fail',
      onDivergence: 'fail',
      concurrency: 2,
    },
  };
}

const jobs = [
  job('id-1', 'nightly'),
  job('id-2', 'hourly'),
  job('id-3', 'hourly'),
  job('id-4', 'old', true),
  job('id-5', 'nightly', true),
  job('id-6', 'id-1'),
];

function refusal(wanted: string, among: readonly StoredJob[] = jobs): string {
  try {
    return `found ${chooseJob(among, wanted, 'lyon')}`;
  } catch (error) {
    if (error instanceof CliError) return `${error.code}: ${error.message} | ${error.hint}`;
    throw error;
  }
}

test('by id in any case, else by name; an id outweighs a name that looks like it', () => {
  expect(chooseJob(jobs, 'id-2', 'lyon')).toBe('id-2');
  expect(chooseJob(jobs, 'ID-2', 'lyon')).toBe('id-2');
  expect(chooseJob(jobs, 'id-1', 'lyon')).toBe('id-1');
  expect(chooseJob(jobs, 'nightly', 'lyon')).toBe('id-1');
});

test('a name that several jobs bear is not guessed', () => {
  expect(refusal('hourly')).toBe(
    'job-ambiguous: Pool "lyon" has 2 jobs named "hourly": id-2, id-3 | give the id of the one you mean',
  );
});

test('a deleted job is told to be deleted', () => {
  expect(refusal('old')).toMatch(
    /^job-deleted: Job "old" \(id-4\) was deleted from pool "lyon" \| its replicas may/,
  );
});

test('an unknown name lists what there is, without the deleted ones', () => {
  expect(refusal('my job')).toBe(
    'job-missing: Pool "lyon" has no job "my job" | it has "hourly" (id-2), "hourly" (id-3), "id-1" (id-6), "nightly" (id-1)',
  );
  expect(refusal('my job', [])).toMatch(/it has no job at all: create one/);
});

test('replicas of a deleted job are found by its name where no live job bears it', () => {
  expect(jobIdOf(jobs, 'old', 'lyon')).toBe('id-4');
  expect(jobIdOf(jobs, 'id-5', 'lyon')).toBe('id-5');
  expect(jobIdOf(jobs, 'nightly', 'lyon')).toBe('id-1');
});
