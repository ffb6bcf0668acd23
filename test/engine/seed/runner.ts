/** An attachment in a process of its own, which kills itself with SIGKILL as a named call was answered. */
import { readFileSync } from 'node:fs';
import { attachSeed, systemClock } from '../../../lib/engine';
import type { SeedJob } from '../../../lib/planner/seed';
import { Pool } from '../../../lib/xapi';
import type { EndpointData } from '../interrupted/runner';

export interface AttachInput {
  readonly source: EndpointData;
  readonly target: EndpointData;
  readonly job: SeedJob;
  readonly run: string;
  readonly snapshot: string;
  readonly vm: string;
  /** `target VM.snapshot`; so many of it are let pass. */
  readonly death: { readonly call: string; readonly nth: number };
}

const input = JSON.parse(readFileSync(0, 'utf8')) as AttachInput;
let calls = 0;

function connect({ name, url, username, password, fingerprints }: EndpointData): Promise<Pool> {
  return Pool.connect(
    {
      name,
      url,
      username,
      password: () => Promise.resolve(password),
      tls: { kind: 'fingerprints', sha256: fingerprints },
      legacyTls: false,
    },
    {
      onCall: (method) => {
        if (input.death.call !== `${name} ${method.replace(/^Async\./, '')}`) return;
        calls += 1;
        if (calls > input.death.nth) process.kill(process.pid, 'SIGKILL');
      },
    },
  );
}

async function main(): Promise<void> {
  const source = await connect(input.source);
  const target = await connect(input.target);
  await attachSeed({
    source,
    target,
    job: input.job,
    snapshotUuid: input.snapshot,
    targetVmUuid: input.vm,
    verify: 'none',
    lockWaitMs: 0,
    context: {
      runId: input.run,
      who: 'an attachment that dies',
      clock: systemClock,
      signal: new AbortController().signal,
      emit: () => undefined,
    },
  });
  await Promise.all([source.disconnect(), target.disconnect()]);
}

void main();
