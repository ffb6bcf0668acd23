/** What work on a seed tells, shown as runs are shown. */
import type { SeedEvent } from '../../engine';
import type { Command } from '../command';
import { instant } from '../output/quantities';
import { showPace } from './pace';
import { progressFor } from './progress';
import { Throttle } from './throttle';

const progressEveryMs = 250;

export interface SeedProgress {
  readonly show: (event: SeedEvent) => void;
  readonly end: () => void;
}

export function seedProgressFor(command: Command): SeedProgress {
  return command.json ? jsonProgress(command) : spokenProgress(command);
}

/** One event per line, with the time it was seen. */
function jsonProgress({ out, io }: Command): SeedProgress {
  const throttle = new Throttle(() => progressEveryMs);
  return {
    show: (event) => {
      const atMs = Math.round(io.nowMs());
      const text = (): string => JSON.stringify({ ...event, atMs });
      if (event.kind !== 'seed-progress') out.line(text());
      else if (throttle.isDue(`${event.phase} ${event.device ?? ''}`, atMs)) out.lineIfReady(text());
    },
    end: () => undefined,
  };
}

/** Bars or lines for what takes long; notes and warnings beside them; the rest stands in the report. */
function spokenProgress(command: Command): SeedProgress {
  const progress = progressFor(command);
  let vm = { uuid: '', name: 'seed' };
  return {
    show: (event) => {
      switch (event.kind) {
        case 'seed-started':
          vm = event.vm;
          break;
        case 'seed-progress': {
          const { bytesDone, bytesExpected, device } = event;
          const sent = { bytesRead: bytesDone, bytesSent: 0, bytesExpected };
          progress.show({ kind: 'disk-progress', vm, device: device ?? 'all', ...sent });
          break;
        }
        case 'seed-lock-waiting':
          command.note(
            `waiting for a run: ${event.holder}; its lock ends ${instant(event.untilMs)} unless it is renewed`,
          );
          break;
        case 'seed-note':
          command.note(event.text);
          break;
        case 'seed-warning':
          command.warn(event.text);
          break;
        case 'reading-rate':
        case 'nice-paced':
        case 'nice-blind':
        case 'nice-summary':
          showPace(event, command, progress);
          break;
        case 'seed-disk-done':
        case 'seed-disk-compared':
        case 'seed-disk-repaired':
          break;
      }
    },
    end: progress.end,
  };
}
