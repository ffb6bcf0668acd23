/** Who receives the second of two disks that are read side by side, byte for byte. */
import { availableParallelism } from 'node:os';
import type { ReceivedBy } from '../../xapi';

/** Of less than that a thread does not save the time that it takes to start. */
const worthAThreadBytes = 256 * 1024 * 1024;

/**
 * Receiving both by one thread takes all of its time, and most of the time that the comparison takes.
 *
 * @param sizeBytes of the disk; how much of it was written is only known once it is being received
 */
export function otherSideReceivedBy(sizeBytes: number, cores = availableParallelism()): ReceivedBy {
  return cores > 1 && sizeBytes >= worthAThreadBytes ? 'own-thread' : 'this-thread';
}
