import { Output } from '../../../lib/cli/output/output';
import { widthOf } from '../../../lib/cli/output/text';
import { BarProgress, barLine } from '../../../lib/cli/progress/bars';
import { Screen } from '../call';
import { copied, mib, opened, progressed, vm } from './events';

const reading = { bytesPerSecond: 85.3 * mib, remainingMs: 12_000 };

describe('the line of a bar', () => {
  const line = (maxWidth: number, label = 'db1 disk 0', value = 512 * mib): string =>
    barLine({ value, total: 1024 * mib, maxWidth }, { label, reading });

  it('shows share, bytes, rate and time left', () => {
    expect(line(90)).toBe('db1 disk 0  ████████░░░░░░░░   50%    512.0 MiB/1.0 GiB    85.3 MiB/s  12 s left');
  });

  it('leaves out the bar, then cuts the name, before a figure', () => {
    expect(line(62)).toBe('db1 disk 0  50%  512.0 MiB/1.0 GiB  85.3 MiB/s  12 s left');
    expect(line(80, 'a-customer-with-a-very-long-name disk 0')).toBe(
      'a-customer-wi…-name disk 0  50%  512.0 MiB/1.0 GiB  85.3 MiB/s  12 s left',
    );
  });

  it.each([20, 40, 60, 80, 100, 200])('fits into %d columns', (columns) => {
    for (const label of [
      'db1 disk 0',
      'a-customer-with-a-very-long-name disk 0',
      '数据库数据库数据库数据库 disk 0',
    ]) {
      expect(widthOf(line(columns, label))).toBeLessThan(columns);
    }
  });

  it('is full at the end and has no time left where none is known', () => {
    const unknown = { bytesPerSecond: null, remainingMs: null };
    expect(barLine({ value: 0, total: 0, maxWidth: 90 }, { label: 'db1 disk 1', reading: unknown })).toBe(
      'db1 disk 1  ████████████████  100%              0 B/0 B',
    );
  });
});

test('bars are drawn while disks are copied, lines stand above them, and the cursor comes back', async () => {
  const screen = new Screen(80);
  const progress = new BarProgress(new Output(screen, () => undefined), null, () => 0);
  progress.show({ kind: 'run-started', run: 'r1', jobId: 'j1', jobName: 'nightly', vms: 1 });
  expect(screen.lines).toEqual(['run r1 of job "nightly": 1 VM']);
  progress.show(opened());
  progress.show(progressed(25 * mib));
  await screen.shows(/db1 disk 0 {2}█+░+ {2}.25%/);
  progress.show({ kind: 'warning', vm, text: 'no such network' });
  await screen.shows('db1: warning: no such network\n');
  progress.show(copied());
  progress.end();
  const [hidden, shown] = ['\u001b[?25l', '\u001b[?25h'].map((code) => screen.text.lastIndexOf(code));
  expect(hidden).toBeGreaterThan(0);
  expect(shown).toBeGreaterThan(hidden ?? 0);
  expect(screen.text).toContain('db1: disk 0: copied, 100.5 MiB read, 90.0 MiB sent\n');
});

test('what stderr says to the same terminal stands above the bars, and on stderr again afterwards', async () => {
  const screen = new Screen(80);
  const stderr = new Screen(80);
  const err = new Output(stderr, () => undefined);
  const progress = new BarProgress(new Output(screen, () => undefined), err, () => 0);
  progress.show(progressed(25 * mib));
  await screen.shows('db1 disk 0');
  err.line('stopping');
  await screen.shows('stopping\n');
  progress.end();
  err.line('error: stopped');
  expect(stderr.text).toBe('error: stopped\n');
});

test('a run that copies nothing moves no cursor', () => {
  const screen = new Screen(80);
  const progress = new BarProgress(new Output(screen, () => undefined), null, () => 0);
  progress.show({ kind: 'vm-started', vm });
  progress.end();
  expect(screen.text).toBe('');
});
