/** All groups of the fault table. */
import { callGroups } from './groups/calls';
import { copyGroups } from './groups/copies';
import { damageGroups } from './groups/damage';
import { jobGroups } from './groups/jobs';
import { killedGroups } from './groups/killed';
import type { CallsSeen } from './groups/killed';
import { lockGroups } from './groups/locks';
import { networkGroups } from './groups/network';
import { poolGroups } from './groups/pools';
import { seedGroups } from './groups/seeds';
import { spaceGroups } from './groups/space';
import { transferGroups } from './groups/transfers';
import { worldGroups } from './groups/world';
import type { Group } from './point';

export function table(calls: CallsSeen): readonly Group[] {
  return [
    ...killedGroups(calls),
    ...jobGroups(),
    ...transferGroups(),
    ...networkGroups(),
    ...damageGroups(),
    ...callGroups(calls),
    ...poolGroups(),
    ...spaceGroups(),
    ...worldGroups(),
    ...copyGroups(),
    ...seedGroups(),
    ...lockGroups(calls),
  ];
}
