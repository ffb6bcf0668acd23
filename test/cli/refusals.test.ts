import { refuseSecrets } from '../../lib/cli/refusals';
import { called } from './call';

const secret = 'hunter2-horse';

const secrets: readonly (readonly string[])[] = [
  ['--password', secret],
  [`--password=${secret}`],
  [`--passwd=${secret}`],
  [`--pass=${secret}`],
  [`-pass=${secret}`],
  ['-pw', secret],
  [`-pw=${secret}`],
  [`--PASSWORD=${secret}`],
  [`--token=${secret}`],
  [`--secret=${secret}`],
  [`password=${secret}`],
  [`https://root:${secret}@10.0.0.1`],
  [`https://${secret}@10.0.0.1/`],
  [`--target-pool=https://root:${secret}@10.0.0.1`],
];

test.each(secrets)(
  '%s is refused with the reason, before anything else, and not repeated',
  async (...argv) => {
    const { code, stdout, stderr } = await called(['jobs', '--target-pool', 'lyon', ...argv]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/list of processes/);
    expect(stderr).toMatch(/hint: put it into the pools file, as password_file or password_env/);
    expect(stdout + stderr).not.toContain(secret);
  },
);

test('as JSON the refusal holds no secret either', async () => {
  const { code, stdout, stderr } = await called(['run', '--json', `--password=${secret}`]);
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ kind: 'error', code: 'secret-in-arguments', exitCode: 2 });
  expect(stdout + stderr).not.toContain(secret);
});

test('what only looks a little like it is let through', () => {
  const argv = [
    'run',
    '--target-pool',
    'lyon',
    '--job',
    'mail@night',
    '--pools-file',
    'password/pools.yaml',
    '--lock-wait',
    '15m',
    'https://10.0.0.1/a@b',
  ];
  expect(() => refuseSecrets(argv)).not.toThrow();
});
