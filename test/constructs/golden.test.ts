import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Testing } from 'cdktf';
import { sampleStack } from './sample-stack';
import { temporaryApp } from './temporary-app';

test('everything the constructs can say, as Terraform JSON', () => {
  const golden = readFileSync(join(__dirname, 'golden', 'sample.tf.json'), 'utf8');
  expect(JSON.parse(Testing.synth(sampleStack(temporaryApp()), true))).toEqual(JSON.parse(golden));
});

test('two synths give the same text', () => {
  const [first, second] = [1, 2].map(() => Testing.synth(sampleStack(temporaryApp()), true));
  expect(second).toBe(first);
});

test('no path of this machine and nothing secret in it', () => {
  const synthesized = Testing.synth(sampleStack(temporaryApp()), true);
  expect(synthesized).not.toContain(process.cwd());
  expect(synthesized).not.toMatch(/"\//);
  expect(synthesized).not.toMatch(/password|secret|token/i);
});
