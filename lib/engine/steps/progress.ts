/** How far a staging disk is known to be right: written beside its mark, read by the run that goes on. */
import type { Ref } from '../../xapi';
import { decode, encode, keys, own } from '../../planner/keys';
import type { StagingProgress } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import type { DiskCopy } from '../../planner/plan';
import type { Attempt, TakenDisk } from '../attempt';
import type { CopyResult } from '../data/copy-disk';
import type { Checkpoints } from '../data/write-segments';
import { codeOf, StalePlan } from '../errors';
import { assertQuiet } from './quiet';

/**
 * How far ahead of the confirmed part bytes may be offered before that is written down again. After an interruption
 * all of it is sent once more with its zeros, since a frame cut short is filled up with stale bytes.
 */
const horizonStepBytes = 1024 ** 3;

/** Takes over a disk that a dead run filled in part, or wholly. */
export async function resumeDisk(
  attempt: Attempt,
  device: string,
  vdi: ObjectId,
  progress: StagingProgress,
): Promise<void> {
  const ref = vdi.ref as Ref<'VDI'>;
  const record = await attempt.target.call('VDI.get_record', [ref]);
  const now = own(decode.progress(record.other_config, record.uuid));
  if (now?.confirmedBytes !== progress.confirmedBytes || now.digest !== progress.digest) {
    throw new StalePlan(
      `Staging disk "${vdi.name}" (${vdi.uuid}) is no longer as it was when the run was planned`,
    );
  }
  const filled = now.complete ? (now.contentId ?? null) : null;
  if (filled !== null && filled !== (record.other_config['content_id'] ?? null)) {
    throw new StalePlan(`Staging disk "${vdi.name}" (${vdi.uuid}) was written to after it was filled`);
  }
  attempt.made.staged.set(device, { vdi, sizeBytes: record.virtual_size });
  if (progress.complete) {
    attempt.made.copied.set(device, { digest: progress.digest, changedBytes: 0, bytesRead: 0, bytesSent: 0 });
  } else {
    const { confirmedBytes, offeredBytes, digest } = progress;
    attempt.made.resumes.set(device, { confirmedBytes, offeredBytes, digest });
  }
}

/** Writes progress down on the staging disk. A small copy never gets to a checkpoint, and costs no call here. */
export class ProgressKeeper implements Checkpoints {
  readonly #attempt: Attempt;
  readonly #copy: DiskCopy;
  readonly #disk: TakenDisk;
  readonly #staged: ObjectId;
  #last: StagingProgress | null = null;

  constructor(attempt: Attempt, copy: DiskCopy, disk: TakenDisk, staged: ObjectId) {
    this.#attempt = attempt;
    this.#copy = copy;
    this.#disk = disk;
    this.#staged = staged;
    const resume = attempt.made.resumes.get(copy.device);
    if (resume !== undefined) this.#last = { ...this.#empty(), ...resume };
  }

  async confirmed(endBytes: number, digest: string): Promise<void> {
    const offeredBytes = Math.max(this.#last?.offeredBytes ?? 0, endBytes);
    await this.#write({ ...this.#empty(), confirmedBytes: endBytes, offeredBytes, digest });
  }

  async offering(endBytes: number): Promise<void> {
    const last = this.#last;
    if (last === null || endBytes <= last.offeredBytes) return;
    await this.#write({ ...last, offeredBytes: Math.ceil(endBytes / horizonStepBytes) * horizonStepBytes });
  }

  /** The whole disk is filled: worth writing down where sending it again would cost something. */
  async complete(result: CopyResult): Promise<void> {
    const worthIt = this.#last !== null || result.bytesSent >= this.#attempt.limits.bytesMax / 128;
    if (!worthIt) return;
    const whole = { confirmedBytes: this.#disk.sizeBytes, offeredBytes: this.#disk.sizeBytes };
    const contentId = await this.#contentId();
    await this.#write({ ...this.#empty(), ...whole, digest: result.digest, complete: true, contentId });
  }

  /** Storage gives the disk one when the upload lets go of it. Null where that takes too long: then nothing is guarded. */
  async #contentId(): Promise<string | null> {
    const { target, context } = this.#attempt;
    try {
      await assertQuiet(target, this.#staged, context.clock, context.signal);
    } catch (error) {
      if (codeOf(error) !== 'disk-busy') throw error;
      return null;
    }
    const otherConfig = await target.call('VDI.get_other_config', [this.#ref]);
    return otherConfig['content_id'] ?? null;
  }

  /** The source is not what it was: nobody must try to go on from here again. */
  async forget(): Promise<void> {
    await forgetProgress(this.#attempt, this.#staged);
    this.#last = null;
  }

  get #ref(): Ref<'VDI'> {
    return this.#staged.ref as Ref<'VDI'>;
  }

  #empty(): StagingProgress {
    return {
      v: 1,
      self: this.#staged.uuid,
      job: this.#attempt.job.jobId,
      device: this.#copy.device,
      sourceSnapshot: this.#attempt.made.need('snapshot').id.uuid,
      sourceVdi: this.#disk.vdi.uuid,
      base: this.#copy.kind === 'delta' ? this.#copy.base.pointVdi.uuid : null,
      method: this.#copy.method,
      sizeBytes: this.#disk.sizeBytes,
      confirmedBytes: 0,
      offeredBytes: 0,
      digest: 'none',
      complete: false,
    };
  }

  /** Two calls: dying in between leaves a disk without progress, which is sent again. Never the other way round. */
  async #write(progress: StagingProgress): Promise<void> {
    const { target } = this.#attempt;
    await target.call('VDI.remove_from_other_config', [this.#ref, keys.progress]);
    for (const [key, value] of Object.entries(encode.progress(progress))) {
      await target.call('VDI.add_to_other_config', [this.#ref, key, value]);
    }
    this.#last = progress;
  }
}

/** Takes a staging disk's progress off: what is on it is worth nothing to a later run. */
export async function forgetProgress({ target }: Attempt, { ref }: ObjectId): Promise<void> {
  await target.call('VDI.remove_from_other_config', [ref as Ref<'VDI'>, keys.progress]);
}
