import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Tests whose witness is a program that others wrote, such as `qemu-img`. Where it is missing they are skipped, and
 * the report shows them as skipped with the reason; on CI (`CI` is set) its absence is a failure, so that a witness
 * never disappears unnoticed.
 *
 * @param tool name of the executable
 */
export function describeWithTool(tool: string, body: () => void): void {
  describeWith(tool, isOnPath(tool), body);
}

/**
 * The same for a module of the system's Python. `/usr/bin/python3` is asked and not the first one on PATH, because
 * packages of the distribution are installed for that one only.
 */
export function describeWithPythonModule(module: string, body: () => void): void {
  const probe = spawnSync(systemPython, ['-c', `import ${module}`]);
  describeWith(`Python module ${module}`, probe.status === 0, body);
}

export const systemPython = '/usr/bin/python3';

function describeWith(what: string, isThere: boolean, body: () => void): void {
  if (isThere) {
    describe(`with ${what}`, body);
  } else if (isSet(process.env['CI'])) {
    describe(`with ${what}`, () => {
      it('is installed', () => {
        throw new Error(`${what} is not installed: install it, or unset CI to skip these tests`);
      });
    });
  } else {
    describe.skip(`with ${what} (not installed here)`, body);
  }
}

function isOnPath(tool: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, tool)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false' && value !== '0';
}
