/** How the source snapshot of a VM is taken, and when a job's wish cannot be fulfilled. */
import type { JobSnapshot } from './job';
import type { SourceObservation } from './observation';

/** `quiesce` asks the guest to bring its file systems to rest; `offline` shuts it down for the moment. */
export type SnapshotHow = 'plain' | 'quiesce' | 'offline';

export type SnapshotChoice =
  | { readonly kind: 'possible'; readonly how: SnapshotHow }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Never a lesser snapshot than the job asks for: who wants the guest at rest relies on it. A VM that does not run is at
 * rest in any mode.
 */
export function snapshotChoice(
  mode: JobSnapshot['mode'],
  { powerState, operations }: Pick<SourceObservation, 'powerState' | 'operations'>,
): SnapshotChoice {
  if (mode === 'disk' || powerState === 'Halted') return { kind: 'possible', how: 'plain' };
  switch (mode) {
    case 'quiesce':
      return operations.includes('snapshot_with_quiesce')
        ? { kind: 'possible', how: 'quiesce' }
        : {
            kind: 'refused',
            reason:
              'the pool offers no quiesced snapshot of it: that needs a release before 8.1 and a guest with the VSS provider',
          };
    case 'offline':
      return operations.includes('clean_shutdown')
        ? { kind: 'possible', how: 'offline' }
        : { kind: 'refused', reason: `it is ${powerState} and cannot be shut down cleanly now` };
    case 'memory':
      return {
        kind: 'refused',
        reason:
          'its memory cannot be carried: XAPI has no way to make a halted replica a suspended one, so the recovery point would be of the disks alone',
      };
  }
}
