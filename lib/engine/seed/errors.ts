import { describeSeedConflict } from '../../planner/seed-describe';
import type { SeedConflict } from '../../planner/seed';
import { ReplicationError } from '../errors';
import type { DiskVerification } from './context';

/** The seed cannot be attached; nothing was changed. */
export class SeedRefused extends ReplicationError {
  readonly conflicts: readonly SeedConflict[];

  constructor(what: string, conflicts: readonly SeedConflict[]) {
    const described = conflicts.map(describeSeedConflict);
    const reasons = described.map(({ message }) => message).join('; ');
    super('seed-refused', `Cannot attach ${what}: ${reasons}`, {
      retry: 'never',
      hint: [...new Set(described.map(({ hint }) => hint))].join('; '),
    });
    this.name = 'SeedRefused';
    this.conflicts = conflicts;
  }
}

/** The content of the seed is not that of the snapshot; nothing was changed. */
export class SeedDiffers extends ReplicationError {
  readonly disks: readonly DiskVerification[];

  constructor(what: string, disks: readonly DiskVerification[]) {
    const wrong = disks
      .filter(({ differingBlocks }) => differingBlocks > 0)
      .map(({ device, differingBlocks, mode }) => {
        const least = mode === 'full' ? '' : 'at least ';
        return `disk ${device}: ${least}${String(differingBlocks)} block(s) of 2 MiB`;
      });
    super(
      'seed-differs',
      `Cannot attach ${what}: its content differs from the snapshot's (${wrong.join(', ')})`,
      {
        retry: 'never',
        hint: 'make sure that it was made of this very snapshot; --repair sends the blocks that differ',
      },
    );
    this.name = 'SeedDiffers';
    this.disks = disks;
  }
}

export function seedFileError(message: string, hint: string, cause?: unknown): ReplicationError {
  return new ReplicationError('seed-file', message, { retry: 'never', hint, cause });
}
