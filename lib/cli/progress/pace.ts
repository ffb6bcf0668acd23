/** How fast disks are read by somebody who is no run, as it is told to a person. */
import type { NiceEvent, RateEvent } from '../../engine';
import type { Command } from '../command';
import type { Progress } from './progress';
import { rateWords } from './words';

export function showPace(event: NiceEvent | RateEvent, command: Command, progress: Progress): void {
  switch (event.kind) {
    case 'reading-rate':
      command.note(rateWords(event));
      break;
    case 'nice-paced':
      progress.show(event);
      break;
    case 'nice-blind':
      command.warn(event.text);
      break;
    case 'nice-summary':
      break;
  }
}
