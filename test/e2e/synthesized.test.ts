/*
 * What the constructs synthesize, given to the real Terraform with the provider they deliver: it fits the provider's
 * schema, and the command of a run reaches the CLI word for word.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TerraformStack, TerraformVariable, Testing } from 'cdktf';
import { ReplicationRun, XenReplicationProvider } from '../../constructs';
import { sampleStack } from '../constructs/sample-stack';
import { temporaryApp } from '../constructs/temporary-app';
import { emptyCliConfiguration, environmentOf, run } from './bare-machine';
import type { Finished } from './bare-machine';

let home: string;
let stackFolder: string;
let extraEnvironment: NodeJS.ProcessEnv = {};
const outdirs: string[] = [];
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'synthesized-'));
  writeFileSync(join(home, emptyCliConfiguration), '');
});
afterAll(() => {
  for (const folder of [home, ...outdirs]) rmSync(folder, { recursive: true, force: true });
});

function synthesize(stack: TerraformStack): void {
  const outdir = Testing.fullSynth(stack);
  outdirs.push(outdir);
  stackFolder = join(outdir, 'stacks', stack.node.id);
}

function terraform(...args: string[]): Promise<Finished> {
  return run('terraform', args, stackFolder, { ...environmentOf(home), ...extraEnvironment });
}

test("everything the constructs can say fits the provider's schema", async () => {
  synthesize(sampleStack(temporaryApp(), { airGapped: true }));
  const init = await terraform('init', '-input=false');
  expect(init.output).toMatch('Terraform has been successfully initialized');
  const { status, output } = await terraform('validate');
  expect(output).toMatch('The configuration is valid');
  expect(status).toBe(0);
}, 120_000);

test('the provider judges values that synth could not know, and Terraform shows its words', async () => {
  const stack = sampleStack(temporaryApp(), { airGapped: true });
  stack.addOverride('resource.xenrepl_job.smallest.concurrency', 17);
  synthesize(stack);
  await terraform('init', '-input=false');
  const { status, output } = await terraform('validate');
  expect(output).toMatch('whole number from 1 to 16, not 17');
  expect(status).toBe(1);
}, 120_000);

test('Terraform shows the line of the launcher where node is missing', async () => {
  synthesize(sampleStack(temporaryApp(), { airGapped: true }));
  await terraform('init', '-input=false');
  extraEnvironment = { XENREPL_NODE: '/nowhere/node' };
  const { status, output } = await terraform('validate', '-no-color');
  extraEnvironment = {};
  const words = output.replace(/[\s│]+/g, ' ');
  expect(words).toMatch(
    'the xenrepl provider needs Node.js 20.19 or newer, and "/nowhere/node" was not found',
  );
  expect(status).toBe(1);
}, 120_000);

test('pool and job reach the CLI word for word, and nothing in them is run by the shell', async () => {
  const stack = new TerraformStack(temporaryApp(), 'stack');
  new XenReplicationProvider(stack, 'xenrepl');
  const jobId = new TerraformVariable(stack, 'job_id', { default: `it's \\ "$(echo run by the shell)"` })
    .stringValue;
  const job = { targetPool: `Munich's $(echo run by the shell)`, jobId };
  new ReplicationRun(stack, 'run', { job, resource: 'terraform_data' });
  synthesize(stack);
  writeFileSync(
    join(stackFolder, 'xenrepl', 'xenrepl.cjs'),
    'console.log(process.argv.slice(2).join("\\n"))',
  );
  await terraform('init', '-input=false');
  const { output, status } = await terraform(
    'apply',
    '-auto-approve',
    '-input=false',
    '-target=terraform_data.run',
  );
  const printed = [...output.matchAll(/\(local-exec\): (.*)/g)].map((found) => found[1]);
  expect(printed.slice(-5)).toEqual([
    'run',
    '--target-pool',
    `Munich's $(echo run by the shell)`,
    '--job',
    `it's \\ "$(echo run by the shell)"`,
  ]);
  expect(status).toBe(0);
}, 120_000);
