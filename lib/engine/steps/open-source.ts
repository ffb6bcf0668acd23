/** Opens what is read of a source disk, in the way that the plan chose. */
import { NbdError } from '../../nbd';
import { XapiError } from '../../xapi';
import type { Ref } from '../../xapi';
import type { DiskCopy } from '../../planner/plan';
import type { Attempt, TakenDisk } from '../attempt';
import type { ResumeFrom } from '../data/copy-disk';
import type { DiskReader } from '../data/extent';
import { through } from '../data/forwarding-reader';
import { openExportReader } from '../data/read-export';
import type { ChangedBlocks } from '../data/changed-blocks';
import { listChanges, openNbdReader } from '../data/read-nbd';
import { ReplicationError } from '../errors';
import { assertQuiet } from './quiet';

/** Where the copy of a disk goes on. NBD begins anywhere, an export at its beginning only. */
export function resumeOf({ made }: Attempt, { device, method }: DiskCopy): ResumeFrom | null {
  const resume = made.resumes.get(device);
  return resume === undefined ? null : { ...resume, readsAgain: method === 'export' };
}

/**
 * @throws ReplicationError `nbd-failed` where NBD was chosen and does not work: noted for the next plan of this run, which
 *   reads the disk by export
 */
export async function openSource(
  attempt: Attempt,
  copy: DiskCopy,
  disk: TakenDisk,
  label: string,
  signal: AbortSignal,
): Promise<DiskReader> {
  const { source } = attempt;
  const common = { vdi: disk.vdi.ref as Ref<'VDI'>, sizeBytes: disk.sizeBytes, name: disk.vdi.name };
  const base = copy.kind === 'delta' ? { base: copy.base.sourceVdi.ref as Ref<'VDI'> } : {};
  if (copy.method === 'export') {
    return openExportReader(source, { ...common, ...base, sr: disk.srRef as Ref<'SR'>, label }, signal);
  }
  const { nbdReach: reach } = attempt;
  const resume = resumeOf(attempt, copy);
  const startBytes = resume?.confirmedBytes ?? 0;
  const onlyWay = copy.onlyWay === true;
  try {
    const changes = await changesOf(attempt, copy, disk, signal);
    const reader = await openNbdReader(source, { ...common, ...changes, startBytes, reach, onlyWay }, signal);
    // Failures on the way are noted, too.
    return through(reader, async function* (extents) {
      try {
        yield* extents;
      } catch (error) {
        throw noted(attempt, copy, error);
      }
    });
  } catch (error) {
    throw noted(attempt, copy, error);
  }
}

/** The list alone is work of the storage. Whoever waits for a server to answer must not keep others from their snapshots. */
async function changesOf(
  { source, queues, made, context }: Attempt,
  copy: DiskCopy,
  { vdi, srRef, sizeBytes }: TakenDisk,
  signal: AbortSignal,
): Promise<{ readonly changes?: ChangedBlocks }> {
  if (copy.kind === 'full') return {};
  const base = copy.base.sourceVdi.ref as Ref<'VDI'>;
  const request = { base, vdi: vdi.ref as Ref<'VDI'>, sizeBytes, name: vdi.name };
  const known = made.changes.get(copy.device);
  if (known !== undefined) return { changes: known };
  // Connections of before may still hold the disk, and changed blocks are not listed of a disk in use.
  if (made.need('snapshot').resumed) await assertQuiet(source, vdi, context.clock, signal, { signal });
  const changes = await queues.onStorage([srRef], () => listChanges(source, request, signal));
  made.changes.set(copy.device, changes);
  return { changes };
}

/** The logs of changed blocks do not join the two disks, or contradict each other. */
const unrelated: ReadonlySet<string> = new Set(['SR_BACKEND_FAILURE_460', 'SR_BACKEND_FAILURE_459']);

/** A session that ended, or an object that is gone, says nothing of NBD: the attempt, or its plan, is at fault. */
const notOfNbd: ReadonlySet<string> = new Set([
  'SESSION_INVALID',
  'HOST_IS_SLAVE',
  'HANDLE_INVALID',
  'UUID_INVALID',
]);

/** What NBD or the list of changed blocks did not do; anything else stays what it is. */
function noted({ nbdFailures, context }: Attempt, copy: DiskCopy, error: unknown): unknown {
  const ofNbd =
    error instanceof NbdError ||
    (error instanceof XapiError && !notOfNbd.has(error.code)) ||
    (error instanceof ReplicationError && (error.code === 'bad-stream' || error.code === 'disk-busy'));
  if (!ofNbd || context.signal.aborted) return error;
  const lasting = error instanceof XapiError && unrelated.has(error.code);
  nbdFailures.set(copy.device, { reason: error.message, lasting });
  return new ReplicationError('nbd-failed', `Disk ${copy.device} cannot be read over NBD: ${error.message}`, {
    retry: 'now',
    hint: 'the run plans again and reads this disk by export, where the base allows it',
    cause: error,
  });
}
