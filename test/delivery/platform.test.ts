import { terraformPlatform } from '../../lib/delivery';

test.each([
  ['linux', 'x64', 'linux_amd64'],
  ['linux', 'arm64', 'linux_arm64'],
  ['darwin', 'x64', 'darwin_amd64'],
  ['darwin', 'arm64', 'darwin_arm64'],
])('%s on %s is %s', (system, architecture, platform) => {
  expect(terraformPlatform(system, architecture)).toBe(platform);
});

test('Windows is refused, with what to do instead', () => {
  expect(() => terraformPlatform('win32', 'x64')).toThrow(/cannot be delivered on win32\/x64.*WSL 2/);
});

test('an architecture without a folder name is refused by its name', () => {
  expect(() => terraformPlatform('linux', 'riscv64')).toThrow('cannot be delivered on linux/riscv64');
});
