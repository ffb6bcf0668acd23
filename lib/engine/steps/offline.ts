/** Shuts a VM down for the moment of its snapshot, and starts it again, whoever finds it down. */
import { XapiError } from '../../xapi';
import type { CallOptions, Pool, Ref } from '../../xapi';
import { decode, encode, keys, own } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import { codeOf, ReplicationError } from '../errors';

/** A guest that takes longer to stop is not stopping. */
const shutdownTimeoutMs = 10 * 60_000;

/**
 * Runs `work` while the VM is down. The mark goes on before the VM goes down and comes off when it is up again: a run
 * that dies in between leaves it, and the next one starts the VM before anything else.
 *
 * @param options stops the waiting for the guest only; once it is down it is started again whatever happens
 */
export async function whileShutDown<T>(
  source: Pool,
  vm: ObjectId,
  by: { readonly job: string; readonly run: string },
  options: CallOptions,
  work: () => Promise<T>,
): Promise<T> {
  const ref = vm.ref as Ref<'VM'>;
  const mark = encode.shutdown({ v: 1, self: vm.uuid, ...by });
  for (const [key, value] of Object.entries(mark))
    await source.call('VM.add_to_other_config', [ref, key, value], options);
  try {
    await source.callTask('VM.clean_shutdown', [ref], { ...options, timeoutMs: shutdownTimeoutMs });
    return await work();
  } finally {
    await startAgain(source, vm);
  }
}

/**
 * Starts a VM that bears the mark of having been shut down, and takes the mark off.
 *
 * @throws ReplicationError `source-down` where it does not start: production is down, and people must know
 */
export async function startAgain(source: Pool, vm: ObjectId): Promise<void> {
  const ref = vm.ref as Ref<'VM'>;
  const config = await source.call('VM.get_other_config', [ref]);
  if (own(decode.shutdown(config, vm.uuid)) === null) return;
  try {
    if ((await source.call('VM.get_power_state', [ref])) === 'Halted')
      await source.callTask('VM.start', [ref, false, false]);
  } catch (error) {
    if (!(error instanceof XapiError && codeOf(error) === 'VM_BAD_POWER_STATE')) throw sourceDown(vm, error);
  }
  await source.call('VM.remove_from_other_config', [ref, keys.shutdown]);
}

function sourceDown(vm: ObjectId, error: unknown): ReplicationError {
  const why = error instanceof Error ? error.message : String(error);
  return new ReplicationError(
    'source-down',
    `VM "${vm.name}" (${vm.uuid}) was shut down for its snapshot and does not start again: ${why}`,
    {
      retry: 'later',
      hint: 'start it by hand now; the next run tries too, as long as the key xenrepl:shutdown is on it',
      cause: error,
    },
  );
}
