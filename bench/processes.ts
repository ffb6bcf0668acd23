/** Processes and folders of a measurement: at its end, however it ends, none is left. */
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Processes {
  /** Removed at the end, with everything in it. */
  readonly folder = mkdtempSync(join(tmpdir(), 'xenrepl-bench-'));
  readonly #running = new Map<ChildProcess, Promise<void>>();
  #closed = false;

  /** Runs a program to its end. Its outcome is the caller's business. */
  async run(program: string, args: readonly string[], stdin = ''): Promise<Ended> {
    const child = this.#track(spawn(program, args, { stdio: 'pipe' }));
    const stdout = collected(child.stdout);
    const stderr = collected(child.stderr);
    // A program that ends before it has read everything says why in its outcome.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...outcome) => resolve(outcome));
    });
    return { code, signal, stdout: stdout(), stderr: stderr() };
  }

  /** Starts a node program that talks to us, and ends when it cannot any more: also when we are killed. */
  start(module: string, temporaryFolder: string): ChildProcess {
    return this.#track(fork(module, { env: { ...process.env, TMPDIR: temporaryFolder } }));
  }

  async stop(child: ChildProcess): Promise<void> {
    child.kill('SIGTERM');
    await this.#running.get(child);
  }

  /** Ends all of them. Whatever waits for one hears that it ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running.keys()].map((child) => this.stop(child)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The same at once and without waiting, for whoever does not want to wait. A `curl` that a shell started ends with its pool. */
  kill(): void {
    this.#closed = true;
    for (const child of this.#running.keys()) child.kill('SIGKILL');
    // One of them may write its last file just now.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #track<Child extends ChildProcess>(child: Child): Child {
    const ended = new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      child.once('error', () => resolve());
    }).then(() => void this.#running.delete(child));
    this.#running.set(child, ended);
    if (this.#closed) child.kill('SIGTERM');
    return child;
  }
}

function collected(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}
