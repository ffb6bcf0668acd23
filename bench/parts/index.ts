import type { Part } from '../bench';
import { delta } from './delta';
import { full } from './full';
import { growthBytes } from './growth-bytes';
import { growthVms } from './growth-vms';
import { manyVms } from './many-vms';
import { memory } from './memory';
import { nothingChanged } from './nothing-changed';
import { providerStart } from './provider-start';
import { resume } from './resume';
import { verify } from './verify';

export const parts: readonly Part[] = [
  full,
  delta,
  nothingChanged,
  memory,
  manyVms,
  resume,
  verify,
  growthBytes,
  growthVms,
  providerStart,
];
