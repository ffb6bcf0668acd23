/** The command line itself: what is understood, what is refused, what is told. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { version } from '../../lib/cli/version';
import { called } from './call';
import { errorLine } from './commands/report-schema';

const commands = ['run', 'plan', 'status', 'jobs', 'replicas', 'agent', 'simulate', 'provider install'];

test('the version is that of the package', async () => {
  const packageJson = readFileSync(join(__dirname, '../../package.json'), 'utf8');
  expect(version).toBe((JSON.parse(packageJson) as { version: string }).version);
  expect(await called(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test('--help lists the commands, the form of the pools file and the exit codes', async () => {
  const { code, stdout, stderr } = await called(['--help']);
  expect([code, stderr]).toEqual([0, '']);
  for (const command of commands)
    expect(stdout).toMatch(new RegExp(`^ {2}${command.split(' ')[0] ?? ''} `, 'm'));
  expect(stdout).toContain('password_file: lyon.password');
  expect(stdout).toMatch(/^ {2}3 {4}blocked/m);
});

test.each(commands)('%s --help shows examples', async (command) => {
  for (const argv of [
    [...command.split(' '), '--help'],
    ['help', ...command.split(' ').slice(0, 1)],
  ]) {
    const { code, stdout } = await called(argv);
    expect(code).toBe(0);
    expect(stdout).toMatch(command === 'provider install' ? /install/ : /\nExamples:\n {2}xenrepl /);
  }
});

test('nothing at all shows the help on stderr, as a mistake', async () => {
  for (const argv of [[], ['provider']]) {
    const { code, stdout, stderr } = await called(argv);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^Usage: xenrepl/);
    expect(stderr).toMatch(/\nerror: No command was given\n/);
  }
});

const mistakes: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an unknown command', ['runn'], /^error: unknown command 'runn'\nhint: \(Did you mean run\?\)/],
  [
    'an unknown option',
    ['jobs', '--target-pool', 'x', '--jsn'],
    /^error: unknown option '--jsn'\nhint: \(Did you mean --json\?\)/,
  ],
  [
    'a missing pool',
    ['jobs'],
    /^error: required option '--target-pool <name>' not specified\nhint: add --help/,
  ],
  ['a missing job', ['run', '--target-pool', 'x'], /^error: required option '--job <id\|name>'/],
  [
    'an empty pool',
    ['jobs', '--target-pool', ''],
    /'--target-pool <name>' argument '' is invalid. It is empty/,
  ],
  [
    'a VM by its name',
    ['run', '--target-pool', 'x', '--job', 'y', '--vm', 'db1'],
    /A VM is named by its uuid/,
  ],
  [
    'a wait without a unit',
    ['run', '--target-pool', 'x', '--job', 'y', '--lock-wait', '90'],
    /Write a duration with its unit, such as 90s/,
  ],
  ['too much', ['jobs', '--target-pool', 'x', 'y'], /^error: too many arguments/],
];

test.each(mistakes)('%s is a mistake of usage', async (_, argv, text) => {
  const { code, stdout, stderr } = await called(argv);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(text);
  expect(stderr).not.toMatch(/\n {4}at /);
});

test.each(mistakes)('%s is told as JSON where JSON was asked for', async (_, argv) => {
  const { code, stdout, stderr } = await called([...argv, '--json']);
  expect(errorLine.parse(JSON.parse(stdout))).toMatchObject({ code: 'usage', exitCode: code });
  expect([code, stderr]).toEqual([2, '']);
});
