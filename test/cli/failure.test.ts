import { CliError, failureLines, failureOf, stackLines } from '../../lib/cli/failure';
import { ReplicationError } from '../../lib/engine';
import { PoolsFileError } from '../../lib/pools';
import { TransportError, XapiError } from '../../lib/xapi';

test('an error of a pool tells its hint once, on a line of its own', () => {
  const failure = failureOf(
    new XapiError({ code: 'HOST_OFFLINE', params: ['h'], method: 'VM.snapshot', poolName: 'lyon' }),
  );
  const [first, second, ...rest] = failureLines(failure);
  expect(first).toBe('error: VM.snapshot failed on pool "lyon": HOST_OFFLINE(h)');
  expect(second).toBe(`hint: ${failure.hint}`);
  expect(rest).toEqual([]);
  expect(failure).toMatchObject({ code: 'HOST_OFFLINE', exitCode: 1 });
});

test('a pool that is not reached is named by the kind of failure', () => {
  const error = new TransportError({
    kind: 'tls',
    retry: 'never',
    what: 'the certificate is another one',
    hint: 'look at it',
    poolName: 'lyon',
  });
  expect(failureOf(error)).toMatchObject({
    code: 'tls',
    message: 'pool "lyon": the certificate is another one',
    hint: 'look at it',
  });
});

test('every kind of error gets its exit code', () => {
  const engine = (code: 'locked' | 'blocked' | 'vm-missing'): Error =>
    new ReplicationError(code, 'text', { retry: 'later', hint: 'hint' });
  expect(failureOf(engine('locked')).exitCode).toBe(4);
  expect(failureOf(engine('blocked')).exitCode).toBe(3);
  expect(failureOf(engine('vm-missing')).exitCode).toBe(1);
  expect(failureOf(new CliError('usage', 'm', 'h', 2)).exitCode).toBe(2);
  expect(failureOf(new Error('defect'))).toEqual({
    code: 'unknown',
    message: 'defect',
    hint: '',
    exitCode: 1,
  });
  expect(failureOf('thrown text')).toMatchObject({ message: 'thrown text', exitCode: 1 });
});

test('all faults of a pools file are told, each on its line', () => {
  const problems = [
    { line: 3, text: 'one' },
    { line: 4, text: 'two' },
  ];
  const failure = failureOf(new PoolsFileError('pools.yaml', problems));
  expect(failure.code).toBe('pools-file');
  expect(failureLines(failure)).toEqual(['error: pools.yaml:3: one', '  pools.yaml:4: two']);
});

test('a name in a message cannot drive the terminal', () => {
  expect(failureLines({ message: 'VM "\u001b[31mx"', hint: '\u0007' })).toEqual([
    'error: VM "\ufffd[31mx"',
    'hint: \ufffd',
  ]);
  expect(failureLines({ message: 'VM "x\nerror: forged"', hint: '' })).toEqual([
    'error: VM "x',
    '  error: forged"',
  ]);
});

test('stacks go down to the cause', () => {
  const lines = stackLines(new Error('above', { cause: new Error('below') }));
  expect(lines[0]).toBe('Error: above');
  expect(lines).toContain('caused by Error: below');
});
