import type { RunReport, VmReport } from '../../../lib/engine';
import { failureLinesOf, reportLines } from '../../../lib/cli/output/report';

const mib = 1024 ** 2;
const id = (uuid: string) => ({ ref: 'OpaqueRef:1', uuid, name: 'x' });

const disks = [
  {
    device: '0',
    copyKind: 'delta',
    method: 'nbd',
    methodBecause: 'x',
    changedBytes: 2 * mib,
    readBytes: 2.1 * mib,
    sentBytes: mib,
    digest: 'd',
    verified: null,
  },
  {
    device: '1',
    copyKind: 'full',
    method: 'export',
    methodBecause: 'x',
    changedBytes: 0,
    readBytes: 3072,
    sentBytes: 0,
    digest: 'd',
    verified: null,
  },
] as const;

function vm(name: string, outcome: VmReport['outcome']): VmReport {
  return {
    vm: { uuid: 'u', name },
    outcome,
    durationMs: 12_400,
    attempts: 1,
    disks: outcome.kind === 'replicated' ? disks : [],
    warnings: [],
    notes: [],
  };
}

const replicated = vm('db1', {
  kind: 'replicated',
  copyKind: 'delta',
  replica: id('r'),
  point: id('6f7c1a52-0f43-4be6-9a5e-0d6f3cbb2d11'),
  sourceSnapshot: id('s'),
  takenAtMs: Date.UTC(2025, 10, 23, 17, 41, 5),
});

function failed(kind: Exclude<VmReport['outcome']['kind'], 'replicated'>): VmReport {
  return vm(`${kind}-vm`, {
    kind,
    error: { code: 'x', message: 'something broke: look there', hint: 'look there', retry: 'never' },
  });
}

function report(...vms: VmReport[]): RunReport {
  return {
    run: 'r',
    job: { id: 'j', name: 'nightly' },
    startedAtMs: 0,
    durationMs: 75_000,
    ok: false,
    warnings: [],
    nice: null,
    vms,
  };
}

test('a table of disks, a table of VMs, and the sum', () => {
  expect(reportLines(report(replicated, failed('failed')), null)).toEqual([
    '',
    'VM   DISK  KIND   CHANGED     READ     SENT',
    'db1  0     delta  2.0 MiB  2.1 MiB  1.0 MiB',
    'db1  1     full       0 B  3.0 KiB      0 B',
    '',
    'VM         OUTCOME     RECOVERY POINT                        AS OF                 DURATION',
    'db1        replicated  6f7c1a52-0f43-4be6-9a5e-0d6f3cbb2d11  2025-11-23 17:41:05Z      12 s',
    'failed-vm  failed      -                                     -                         12 s',
    '',
    '1 of 2 VMs replicated in 1 min 15 s',
  ]);
});

test('fits an ordinary terminal', () => {
  const lines = reportLines(report(replicated, failed('failed')), 80);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines.join('\n')).toContain('12 s');
});

test('where nothing was copied there is no table of disks', () => {
  expect(reportLines(report(failed('locked')), null).slice(0, 2)).toEqual([
    '',
    expect.stringMatching(/^VM +OUTCOME/),
  ]);
});

test('each VM without a new recovery point says why and what to do; one that was stopped by hand says why only', () => {
  expect(failureLinesOf(report(replicated, failed('failed'), failed('cancelled')))).toEqual([
    'error: failed-vm: something broke',
    'hint: look there',
    'error: cancelled-vm: stopped before its recovery point was made',
  ]);
});

test.each([
  [
    { looks: 9, highestLoadPerVcpu: 1.834, heldBackMs: 200_000, lowestBytesPerSecond: 12 * 1024 ** 2 },
    'nice: gave way for 3 min 20 s, down to 12.0 MiB/s (highest load of a control domain: 1.83 per vCPU)',
  ],
  [
    { looks: 2, highestLoadPerVcpu: 0.4, heldBackMs: 0, lowestBytesPerSecond: null },
    'nice: never gave way (highest load of a control domain: 0.40 per vCPU)',
  ],
  [
    { looks: 2, highestLoadPerVcpu: null, heldBackMs: 0, lowestBytesPerSecond: null },
    'nice: never gave way (no host said how busy it is)',
  ],
])('what came of giving way to busy hosts', (nice, line) => {
  expect(reportLines({ ...report(replicated), nice }, null).at(-1)).toBe(line);
});
