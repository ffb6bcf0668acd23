import { Writable } from 'node:stream';
import { Output } from '../../../lib/cli/output/output';
import { JsonProgress } from '../../../lib/cli/progress/json';
import { Screen } from '../call';
import { copied, mib, opened, progressed } from './events';

test('one event per line with its time; progress four times a second at most, everything else always', () => {
  const screen = new Screen();
  const clock = { nowMs: 5.4 };
  const progress = new JsonProgress(new Output(screen, () => undefined), () => clock.nowMs);
  progress.show(opened());
  for (let atMs = 0; atMs <= 1000; atMs += 1) {
    clock.nowMs = atMs;
    progress.show(progressed(atMs * mib, 1000 * mib));
  }
  progress.show(copied());
  progress.end();
  const events = screen.lines.map(
    (line) => JSON.parse(line) as { kind: string; atMs: number; bytesRead?: number },
  );
  expect(events.map(({ kind, atMs }) => [kind, atMs])).toEqual([
    ['disk-opened', 5],
    ['disk-progress', 250],
    ['disk-progress', 500],
    ['disk-progress', 750],
    ['disk-progress', 1000],
    ['disk-copied', 1000],
  ]);
  expect(events[1]?.bytesRead).toBe(250 * mib);
});

test('a reader that sleeps costs no memory: only what must be told waits for it', () => {
  const asleep = new Writable({ write: () => undefined });
  const clock = { nowMs: 0 };
  const progress = new JsonProgress(new Output(asleep, () => undefined), () => clock.nowMs);
  for (let second = 0; second < 100_000; second += 1) {
    clock.nowMs = second * 1000;
    progress.show(progressed(second, 100_000));
  }
  expect(asleep.writableLength).toBeLessThan(128 * 1024);
});
