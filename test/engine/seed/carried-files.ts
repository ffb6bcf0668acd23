/** Seeds in files, for tests: a folder of its own, exports and imports as a door would ask for them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportSeed, importSeed } from '../../../lib/engine';
import type {
  ExportReport,
  ExportSeedOptions,
  ImportReport,
  ImportSeedOptions,
  SeedEvent,
} from '../../../lib/engine';
import type { Site } from '../site';
import { seedContext } from './carried';

export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'xenrepl-seed-'));

  in(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface Exported {
  readonly report: ExportReport;
  readonly events: readonly SeedEvent[];
}

export async function exported(
  site: Site,
  folder: string,
  changes: Partial<Omit<ExportSeedOptions, 'source' | 'folder'>> = {},
): Promise<Exported> {
  const source = await site.connect('source');
  const events: SeedEvent[] = [];
  try {
    const report = await exportSeed({
      source,
      folder,
      of: { kind: 'vm', uuid: await site.source.control.vmUuid('db1') },
      format: 'vhd',
      compression: 'none',
      ...changes,
      context: changes.context ?? seedContext(events),
    });
    return { report, events };
  } finally {
    await source.disconnect();
  }
}

export interface Imported {
  readonly report: ImportReport;
  readonly events: readonly SeedEvent[];
}

export async function imported(
  site: Site,
  files: ImportSeedOptions['files'],
  changes: Partial<Omit<ImportSeedOptions, 'target' | 'files'>> = {},
): Promise<Imported> {
  const target = await site.connect('target');
  const events: SeedEvent[] = [];
  const [sr] = await target.call('SR.get_by_name_label', ['target-sr']);
  if (sr === undefined) throw new Error('the target has no SR "target-sr"');
  try {
    const report = await importSeed({
      target,
      srUuid: await target.call('SR.get_uuid', [sr]),
      files,
      ...changes,
      context: changes.context ?? seedContext(events),
    });
    return { report, events };
  } finally {
    await target.disconnect();
  }
}
