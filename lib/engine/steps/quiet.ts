/** No upload may be alive on a disk that we are about to write to, attach or destroy. */
import type { CallOptions, Pool, Ref } from '../../xapi';
import type { ObjectId } from '../../planner/observation';
import type { Clock } from '../context';
import { ReplicationError } from '../errors';

const quietWaitMaxMs = 60_000;
const quietPollMs = 1_000;

/**
 * Waits until no control domain has the disk attached. An upload whose connection died may still be alive on
 * the server and overwrite what comes after; the control domain's VBD is the sign of it.
 *
 * @throws ReplicationError `disk-busy` after a minute: the caller must use another disk.
 */
export async function assertQuiet(
  pool: Pool,
  vdi: ObjectId,
  clock: Clock,
  signal: AbortSignal,
  options: CallOptions = {},
): Promise<void> {
  const deadlineMs = clock.nowMs() + quietWaitMaxMs;
  while (await hasControlDomain(pool, vdi, options)) {
    if (clock.nowMs() >= deadlineMs) {
      throw new ReplicationError(
        'disk-busy',
        `Disk "${vdi.name}" (${vdi.uuid}) on pool "${pool.name}" is still attached to a control domain after ` +
          `${String(quietWaitMaxMs / 1000)} s: an earlier transfer is alive there`,
        {
          retry: 'later',
          hint: 'the next run makes a new staging disk; restart the toolstack if this stays so',
        },
      );
    }
    await clock.sleep(quietPollMs, signal);
  }
}

async function hasControlDomain(pool: Pool, vdi: ObjectId, options: CallOptions): Promise<boolean> {
  const vbds = await pool.call('VDI.get_VBDs', [vdi.ref as Ref<'VDI'>], options);
  for (const ref of vbds) {
    const vbd = await pool.call('VBD.get_record', [ref], options);
    const vm = await pool.call('VM.get_record', [vbd.VM], options);
    if (vm.is_control_domain) return true;
  }
  return false;
}
