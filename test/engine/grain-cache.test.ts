/** What is believed of a file that an earlier run left. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrainIndex } from '../../lib/engine/data/grain-index';
import { GrainCache } from '../../lib/engine/grain-cache';

const key = { job: 'job', sr: 'sr', sourceVm: 'vm', device: '0' };
const binding = { pointVdi: 'point', sourceVdi: 'source', sizeBytes: 4 * 1024 ** 2 };
const checksumBytes = 32;

let folder: string;
let cache: GrainCache;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xenrepl-grain-cache-test-'));
  cache = new GrainCache(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Changes the text that says what an index is of, and leaves the file whole in itself. */
function rewrite(from: string, to: string): void {
  const grains = join(folder, 'grains');
  const [name = 'none'] = readdirSync(grains);
  const content = readFileSync(join(grains, name)).subarray(checksumBytes).toString('latin1');
  expect(content).toContain(from);
  const changed = Buffer.from(content.replace(from, to), 'latin1');
  writeFileSync(join(grains, name), Buffer.concat([createHash('sha256').update(changed).digest(), changed]));
}

async function saved(): Promise<Buffer> {
  const index = GrainIndex.zeros(binding.sizeBytes);
  await cache.save(key, binding, index);
  return index.bytes;
}

test('an index is read as it was written', async () => {
  const bytes = await saved();
  expect((await cache.load(key, binding))?.bytes.equals(bytes)).toBe(true);
});

test.each([
  ['first', 'its unknown grains would pass for zeros', '"grains 1"'],
  ['second', 'it may speak of what an older recovery point held', '"grains 2"'],
])('an index of the %s form is read as lost: %s', async (_form, _why, form) => {
  await saved();
  rewrite('"grains 3"', form);
  expect(await cache.load(key, binding)).toBeNull();
});

test('an index of another recovery point is read as lost', async () => {
  await saved();
  expect(await cache.load(key, { ...binding, pointVdi: 'newer' })).toBeNull();
});
