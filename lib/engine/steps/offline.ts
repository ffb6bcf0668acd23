/** Shuts a VM down for the moment of its snapshot, and starts it again, whoever finds it down. */
import { TransportError, XapiError } from '../../xapi';
import type { Pool, Ref } from '../../xapi';
import { decode, encode, keys, own } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import { afterShutdown, quietEnoughMs, shutdownWatchMaxMs } from '../../planner/shutdown';
import type { PowerSeen } from '../../planner/shutdown';
import type { RunContext } from '../context';
import { codeOf, ReplicationError } from '../errors';

/** A guest that takes longer to stop is not stopping. */
const shutdownTimeoutMs = 10 * 60_000;
const lookAgainMs = 1_000;
const never = new AbortController().signal;

/**
 * Runs `work` while the VM is down. The mark goes on before the VM goes down and comes off when it is up again: a run
 * that dies in between leaves it, and the next one starts the VM before anything else.
 *
 * A wish to stop is heard before the VM is told to shut down and once it is down, not in between: a guest that was told
 * goes down, whatever becomes of the task, and somebody must be there to start it.
 */
export async function whileShutDown<T>(
  source: Pool,
  vm: ObjectId,
  by: { readonly job: string; readonly run: string },
  { clock, signal }: Pick<RunContext, 'clock' | 'signal'>,
  work: () => Promise<T>,
): Promise<T> {
  const ref = vm.ref as Ref<'VM'>;
  const mark = encode.shutdown({ v: 1, self: vm.uuid, ...by });
  signal.throwIfAborted();
  for (const [key, value] of Object.entries(mark))
    await source.call('VM.add_to_other_config', [ref, key, value]);
  let wasDown = false;
  try {
    await source.callTask('VM.clean_shutdown', [ref], { timeoutMs: shutdownTimeoutMs });
    wasDown = true;
    signal.throwIfAborted();
    return await work();
  } finally {
    // Who was down and is up was started by somebody; of any other nobody knows yet whether it still goes down.
    await startAgain(source, vm, { clock, signal: never, quietMs: wasDown ? 0 : quietEnoughMs });
  }
}

export interface Watch extends Pick<RunContext, 'clock' | 'signal'> {
  /** How long a VM that is up must have been seen to stay so. */
  readonly quietMs: number;
}

/**
 * Sees to it that a VM with the mark of having been told to shut down runs, and takes the mark off. One that is up is
 * watched first: it may be about to go down.
 *
 * @throws ReplicationError `source-down` where it does not start, or where it stays open whether it goes down: production
 *   is down or will be, and people must know. The mark stays, for the next run.
 */
export async function startAgain(
  source: Pool,
  vm: ObjectId,
  { clock, signal, quietMs }: Watch,
): Promise<void> {
  const sinceMs = clock.nowMs();
  let upSinceMs: number | null = null;
  for (;;) {
    const { marked, power } = await look(source, vm);
    if (!marked) return;
    const nowMs = clock.nowMs();
    upSinceMs = power === null || power.powerState === 'Halted' ? null : (upSinceMs ?? nowMs);
    const upMs = upSinceMs === null ? 0 : nowMs - upSinceMs;
    const next = afterShutdown(power, { upMs, quietMs, watchedMs: nowMs - sinceMs });
    if (next === 'unclear') throw unclear(source, vm, power);
    if (next !== 'look-again') {
      if (next === 'start') await start(source, vm);
      await source.call('VM.remove_from_other_config', [vm.ref as Ref<'VM'>, keys.shutdown]);
      return;
    }
    await clock.sleep(lookAgainMs, signal);
  }
}

/** A pool that does not answer now may do so before the time is up; until then nothing is known of the VM. */
async function look(
  source: Pool,
  vm: ObjectId,
): Promise<{ readonly marked: boolean; readonly power: PowerSeen | null }> {
  try {
    const record = await source.call('VM.get_record', [vm.ref as Ref<'VM'>]);
    const marked = own(decode.shutdown(record.other_config, vm.uuid)) !== null;
    const operations = Object.values(record.current_operations);
    return { marked, power: { powerState: record.power_state, operations } };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    return { marked: true, power: null };
  }
}

async function start(source: Pool, vm: ObjectId): Promise<void> {
  try {
    await source.callTask('VM.start', [vm.ref as Ref<'VM'>, false, false]);
  } catch (error) {
    // Somebody else was quicker.
    if (!(error instanceof XapiError && codeOf(error) === 'VM_BAD_POWER_STATE')) throw sourceDown(vm, error);
  }
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

function unclear(source: Pool, vm: ObjectId, power: PowerSeen | null): ReplicationError {
  const seen =
    power === null
      ? 'the pool does not answer'
      : [`it is ${power.powerState}`, ...power.operations.map((one) => `${one} is under way`)].join(', ');
  return new ReplicationError(
    'source-down',
    `VM "${vm.name}" (${vm.uuid}) on pool "${source.name}" was told to shut down for its snapshot, and after ` +
      `${String(shutdownWatchMaxMs / 1000)} s it is not clear whether it goes down: ${seen}`,
    {
      retry: 'later',
      hint: 'look at it now and start it where it is down; the next run does so too, as long as the key xenrepl:shutdown is on it',
    },
  );
}
