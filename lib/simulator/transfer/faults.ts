import type { Connection } from './connection';
import { CopierError, type ByteSource } from './copier';
import type { TransferFault, TransferPool } from './pool-side';

/** The body of an upload with a fault at a byte of it. */
export function faultySource(
  connection: Connection,
  fault: TransferFault | null,
  pool: TransferPool,
): ByteSource {
  const limit = fault !== null && 'afterBytes' in fault ? fault.afterBytes : Infinity;
  let position = 0;
  let lingers = fault?.kind === 'linger' ? fault.ms : 0;
  const counted = async (target: Uint8Array): Promise<number> => {
    const count = await connection.read(target);
    if (fault?.kind === 'corrupt') damage(target.subarray(0, count), fault.atByte - position);
    position += count;
    pool.countBytes('import', count);
    return count;
  };
  return {
    async read(target) {
      const allowed = Math.min(target.byteLength, limit - position);
      const count = await counted(target.subarray(0, allowed));
      if (count < allowed) {
        const ms = lingers;
        lingers = 0;
        if (ms > 0) await pool.clock.sleep(ms, pool.closing);
      } else if (allowed < target.byteLength) await strike(connection, fault, pool);
      return count;
    },
  };
}

/** What happens at the byte where a fault sits. Afterwards the copier sees the end of its stream. */
async function strike(
  connection: Connection,
  fault: TransferFault | null,
  pool: TransferPool,
): Promise<void> {
  if (fault?.kind === 'cut') connection.cut();
  else if (fault?.kind === 'stall') await connection.stall(pool.closing);
  else if (fault?.kind === 'error-page')
    throw new CopierError(`a fault was asked for at byte ${fault.afterBytes}`);
}

/** Turns over all bits of the byte at `index`, if it is in here. */
export function damage(bytes: Uint8Array, index: number): void {
  const byte = bytes[index];
  if (byte !== undefined) bytes[index] = byte ^ 0xff;
}

/** Waits as faults of the kinds `delay` and `hang` ask for, before a word is answered. False: the client gave up, or nobody answers any more. */
export async function passesBeginning(
  connection: Connection,
  fault: TransferFault | null,
  pool: TransferPool,
): Promise<boolean> {
  if (fault?.kind === 'delay') {
    await pool.clock
      .sleep(fault.ms, AbortSignal.any([connection.closed, pool.closing]))
      .catch(() => undefined);
  }
  if (fault?.kind === 'hang') await connection.stall(pool.closing).catch(() => undefined);
  return fault?.kind !== 'hang' && !connection.closed.aborted && !pool.closing.aborted;
}
