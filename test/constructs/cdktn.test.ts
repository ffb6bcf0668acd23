/*
 * cdktf is archived; its continuation cdktn keeps the same shapes. The same sources, with cdktn in cdktf's place, must
 * say the same to Terraform and deliver the provider as well.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Testing } from 'cdktf';
import { sampleStack } from './sample-stack';
import { temporaryApp } from './temporary-app';

jest.mock('cdktf', (): unknown => jest.requireActual('cdktn'));

test('it is cdktn that runs here', () => {
  expect(Testing).toBe(jest.requireActual<{ Testing: unknown }>('cdktn').Testing);
});

test('the stack synthesizes to the same Terraform JSON', () => {
  const golden = readFileSync(join(__dirname, 'golden', 'sample.tf.json'), 'utf8');
  expect(JSON.parse(Testing.synth(sampleStack(temporaryApp()), true))).toEqual(JSON.parse(golden));
});

test('the provider is delivered at synth', () => {
  const outdir = Testing.fullSynth(sampleStack(temporaryApp()));
  try {
    expect(existsSync(join(outdir, 'stacks', 'site', 'xenrepl', 'xenrepl.cjs'))).toBe(true);
    expect(readFileSync(join(outdir, 'stacks', 'site', '.terraform.lock.hcl'), 'utf8')).toMatch('h1:');
  } finally {
    rmSync(outdir, { recursive: true });
  }
});
