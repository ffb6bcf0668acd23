/**
 * What the runs of one process know of each other. Each of them sees a pool that the others are at work on: without this,
 * several would take the same free bytes for theirs, and each would fill an SR with as many transfers as it may.
 */
import { Slots } from './slots';
import { SpaceLedger } from './space-ledger';
import { StorageQueues } from './storage-queues';

export class Neighbours {
  readonly space = new SpaceLedger();
  readonly transfers = new Slots();
  readonly storages = new StorageQueues();
}
