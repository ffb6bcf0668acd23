/** Starts the programs that the demo shows, and makes sure that none outlives it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Ran {
  readonly exitCode: number;
  readonly output: string;
}

const running = new Set<ChildProcess>();
/** Kept of a program's output, for messages when it fails. */
const outputKeptMax = 200_000;

/** Runs a program to its end and shows its output line by line as it comes. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv; readonly show?: (line: string) => void },
): Promise<Ran> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let output = '';
  const take = (line: string): void => {
    output = `${output}${line}\n`.slice(-outputKeptMax);
    options.show?.(line);
  };
  createInterface({ input: child.stdout }).on('line', take);
  createInterface({ input: child.stderr }).on('line', take);
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  running.delete(child);
  return { exitCode, output };
}

/** Starts a program that stays, and returns the first line that it prints. */
export async function startAndAwaitLine(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ readonly line: string; readonly stop: () => Promise<void> }> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void ended.then(() => running.delete(child));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('error', reject);
    child.once('close', (code) =>
      reject(new Error(`${command} ended with code ${String(code)} before it was ready`)),
    );
  });
  return {
    line,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** For a demo that ends early: nothing of it keeps running. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

export interface Program {
  readonly pid: number;
  /** Exit code, null where a signal ended it. */
  readonly ended: Promise<number | null>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Starts a program that stays, and hands out its output line by line. */
export function startProgram(
  command: string,
  args: readonly string[],
  options: {
    readonly cwd: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly onLine: (line: string) => void;
  },
): Program {
  const { cwd, env, onLine } = options;
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  createInterface({ input: child.stdout }).on('line', onLine);
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  void ended.then(() => running.delete(child));
  return { pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) };
}
