import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Testing } from 'cdktf';
import type { App } from 'cdktf';

const outdirs: string[] = [];
afterAll(() => {
  for (const outdir of outdirs) rmSync(outdir, { recursive: true, force: true });
});

/** An app for tests whose output folder is gone after the tests of the file (cdktf leaves its own in /tmp). */
export function temporaryApp(): App {
  const outdir = mkdtempSync(join(tmpdir(), 'constructs-test-'));
  outdirs.push(outdir);
  return Testing.app({ outdir, stackTraces: false });
}
