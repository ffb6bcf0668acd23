import { Output } from '../../../lib/cli/output/output';
import { LineProgress } from '../../../lib/cli/progress/lines';
import { Screen } from '../call';
import { copied, failedAttempt, mib, opened, progressed, vm } from './events';

function setUp() {
  const screen = new Screen();
  const clock = { nowMs: 0 };
  const progress = new LineProgress(new Output(screen, () => undefined), () => clock.nowMs);
  return { screen, clock, progress };
}

test('a run in lines, as a log or Terraform shows it', () => {
  const { screen, clock, progress } = setUp();
  progress.show({ kind: 'run-started', run: 'r1', jobId: 'j1', jobName: 'nightly', vms: 1 });
  progress.show({ kind: 'vm-started', vm });
  progress.show({ kind: 'lock-waiting', vm, holder: 'the agent', untilMs: Date.UTC(2025, 0, 2, 3, 4, 5) });
  progress.show({ kind: 'lock-acquired', vm, number: 1 });
  progress.show({ kind: 'step-started', vm, step: 'snapshot-source', device: null });
  progress.show({ kind: 'step-finished', vm, step: 'snapshot-source', device: null });
  progress.show(opened());
  for (let second = 0; second <= 5; second += 1) {
    clock.nowMs = second * 1000;
    progress.show(progressed(second * 10 * mib));
  }
  progress.show(failedAttempt);
  progress.show({ kind: 'warning', vm, text: 'no such network' });
  progress.show(copied());
  progress.show({ kind: 'run-finished', run: 'r1' });
  progress.end();
  expect(screen.lines).toEqual([
    'run r1 of job "nightly": 1 VM',
    'db1: waiting for another run: the agent; its lock ends 2025-01-02 03:04:05Z unless it is renewed',
    'db1: taking a snapshot on the source',
    'db1: disk 0: full, 100.0 MiB to read',
    'db1: disk 0: 20.0 MiB of 100.0 MiB (20%), 10.0 MiB/s, 8.0 s left',
    'db1: disk 0: 40.0 MiB of 100.0 MiB (40%), 10.0 MiB/s, 6.0 s left',
    'db1: attempt 1 failed, again in 15 s: VM.snapshot failed: wait for it',
    'db1: warning: no such network',
    'db1: disk 0: copied, 100.5 MiB read, 90.0 MiB sent',
  ]);
});

test('ten hours of progress, reported a hundred times a second, stay readable', () => {
  const { screen, clock, progress } = setUp();
  progress.show(opened());
  for (let second = 0; second <= 36_000; second += 1) {
    clock.nowMs = second * 1000;
    progress.show(progressed(second, 36_000));
  }
  expect(screen.lines.length).toBeGreaterThan(500);
  expect(screen.lines.length).toBeLessThan(800);
});

test('each disk speaks for itself, and begins anew when it is opened again', () => {
  const { screen, clock, progress } = setUp();
  for (const atMs of [0, 2000]) {
    clock.nowMs = atMs;
    progress.show(progressed(50 * mib, 100 * mib, '0'));
    progress.show(progressed(25 * mib, 100 * mib, '1'));
  }
  progress.show(opened('0'));
  progress.show(progressed(0, 100 * mib, '0'));
  clock.nowMs = 4000;
  progress.show(progressed(10 * mib, 100 * mib, '0'));
  expect(screen.lines).toEqual([
    'db1: disk 0: 50.0 MiB of 100.0 MiB (50%), 0 B/s',
    'db1: disk 1: 25.0 MiB of 100.0 MiB (25%), 0 B/s',
    'db1: disk 0: full, 100.0 MiB to read',
    'db1: disk 0: 10.0 MiB of 100.0 MiB (10%), 5.0 MiB/s, 18 s left',
  ]);
});

test('the name of a VM cannot forge a line', () => {
  const { screen, progress } = setUp();
  progress.show({ kind: 'warning', vm: { ...vm, name: 'db1\nall is well' }, text: 'x' });
  expect(screen.lines).toEqual(['db1\ufffdall is well: warning: x']);
});
