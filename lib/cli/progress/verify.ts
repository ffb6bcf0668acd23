/** What a verification tells, shown as runs are shown. */
import type { VerifyEvent } from '../../engine';
import type { Command } from '../command';
import { showPace } from './pace';
import { progressFor } from './progress';
import { Throttle } from './throttle';

const progressEveryMs = 250;

export interface VerifyProgress {
  readonly show: (event: VerifyEvent) => void;
  /** Leaves the cursor where the report can be printed. */
  readonly end: () => void;
}

export function verifyProgressFor(command: Command): VerifyProgress {
  return command.json ? jsonProgress(command) : spokenProgress(command);
}

function jsonProgress({ out, io }: Command): VerifyProgress {
  const throttle = new Throttle(() => progressEveryMs);
  return {
    show: (event) => {
      const atMs = Math.round(io.nowMs());
      const text = (): string => JSON.stringify({ ...event, atMs });
      if (event.kind !== 'verify-progress') out.line(text());
      else if (throttle.isDue(`${event.vm.uuid} ${event.device}`, atMs)) out.lineIfReady(text());
    },
    end: () => undefined,
  };
}

/** Bars or lines while a disk is read; results stand in the table at the end. */
function spokenProgress(command: Command): VerifyProgress {
  const progress = progressFor(command);
  return {
    show: (event) => {
      switch (event.kind) {
        case 'verify-progress': {
          const { vm, device, bytesDone: bytesRead, bytesExpected } = event;
          progress.show({ kind: 'disk-progress', vm, device, bytesRead, bytesSent: 0, bytesExpected });
          break;
        }
        case 'reading-rate':
        case 'nice-paced':
        case 'nice-blind':
        case 'nice-summary':
          showPace(event, command, progress);
          break;
        case 'verify-point-started':
        case 'verify-point-finished':
          break;
      }
    },
    end: progress.end,
  };
}
