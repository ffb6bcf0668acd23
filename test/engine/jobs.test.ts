import { buryJob, listJobs, readJob, unreadableJobs, writeJob } from '../../lib/engine';
import { Site } from './site';

describe('job definitions on the target pool', () => {
  let site: Site;

  beforeEach(async () => {
    site = await Site.start();
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  test('a change adds the next revision and removes the old one', async () => {
    const target = await site.connect('target');
    const job = await site.job();
    expect(await readJob(target, job.jobId)).toEqual({ kind: 'absent' });
    expect(await writeJob(target, job)).toEqual({ revision: 1 });
    expect(await writeJob(target, { ...job, name: 'renamed' })).toEqual({ revision: 2 });
    expect(await readJob(target, job.jobId)).toMatchObject({
      kind: 'live',
      revision: 2,
      definition: { name: 'renamed' },
    });
    const config = await target.call('pool.get_other_config', [target.ref]);
    expect(Object.keys(config).filter((key) => key.startsWith('xenrepl:job:'))).toHaveLength(1);
  });

  test('a definition whose answer was lost is known again, and not written a second time', async () => {
    const target = await site.connect('target');
    const job = await site.job();
    await site.target.control.addFault({
      match: { method: 'pool.add_to_other_config' },
      effect: { kind: 'after', effect: { kind: 'cut', afterBytes: 0 } },
    });
    expect(await writeJob(target, job)).toEqual({ revision: 1 });
    expect(await readJob(target, job.jobId)).toMatchObject({ kind: 'live', revision: 1 });
  });

  test('one that was not written is not taken for written', async () => {
    const target = await site.connect('target');
    const job = await site.job();
    await site.target.control.addFault({
      match: { method: 'pool.add_to_other_config' },
      max: 9,
      effect: { kind: 'cut', afterBytes: 0 },
    });
    await expect(writeJob(target, job)).rejects.toThrow();
    await site.target.control.clearFaults();
    expect(await readJob(target, job.jobId)).toEqual({ kind: 'absent' });
  });

  test('a deleted job leaves a tombstone, which may be revived', async () => {
    const target = await site.connect('target');
    const job = await site.job();
    await writeJob(target, job);
    await buryJob(target, job.jobId);
    await buryJob(target, job.jobId);
    expect(await readJob(target, job.jobId)).toMatchObject({ kind: 'tombstone', revision: 2 });
    expect(await listJobs(target)).toEqual([]);
    expect(await writeJob(target, job)).toEqual({ revision: 3 });
    expect(await listJobs(target)).toMatchObject([{ revision: 3 }]);
  });

  test('a newest revision that cannot be read is no absence, and no older revision takes its place', async () => {
    const target = await site.connect('target');
    const job = await site.job();
    await writeJob(target, job);
    await target.call('pool.add_to_other_config', [
      target.ref,
      `xenrepl:job:${job.jobId}:2`,
      '{"schemaVersion":9}',
    ]);
    await expect(readJob(target, job.jobId)).rejects.toMatchObject({ code: 'unreadable' });
    expect(await listJobs(target)).toEqual([]);
    expect(await unreadableJobs(target)).toMatchObject([{ key: `xenrepl:job:${job.jobId}:2` }]);
  });

  test('two writers at once get two revisions, and the later one counts', async () => {
    const [one, other] = await Promise.all([site.connect('target'), site.connect('target')]);
    const job = await site.job();
    const written = await Promise.all([
      writeJob(one, { ...job, name: 'one' }),
      writeJob(other, { ...job, name: 'other' }),
    ]);
    expect(written.map(({ revision }) => revision).sort()).toEqual([1, 2]);
    expect(await readJob(one, job.jobId)).toMatchObject({ kind: 'live', revision: 2 });
  });
});
