/**
 * Names that are marks. A VM snapshot or clone inherits the keys of what it was made of and gets its own only
 * afterwards; its name is the one thing that XAPI sets together with the object. So what we make by snapshot
 * or clone is born under such a name: if we die before its keys are written, the next run still knows it as ours.
 */

import { sameUuid } from './keys';

export type TemporaryRole = 'snapshot' | 'staging' | 'point' | 'replica' | 'transfer';

export interface TemporaryName {
  readonly role: TemporaryRole;
  readonly job: string;
  /** The target SR: two targets of one job are two replications, and neither may take the other's work for its own. */
  readonly sr: string;
  readonly sourceVm: string;
  readonly run: string;
}

const pattern =
  /^\[xenrepl (snapshot|staging|point|replica|transfer) ([\w.-]{1,64}) ([\w-]{1,64}) ([\w-]{1,64}) ([\w-]{1,64})\]/;

export function temporaryName(name: TemporaryName, label: string): string {
  return `[xenrepl ${name.role} ${name.job} ${name.sr} ${name.sourceVm} ${name.run}] ${label}`;
}

export function parseTemporaryName(nameLabel: string): TemporaryName | null {
  const match = pattern.exec(nameLabel);
  const [, role, job, sr, sourceVm, run] = match ?? [];
  if (role === undefined || job === undefined || sr === undefined) return null;
  if (sourceVm === undefined || run === undefined) return null;
  return { role: role as TemporaryRole, job, sr, sourceVm, run };
}

/** True for work that this job does on this target, for whatever VM. */
export function isOfTarget(name: TemporaryName, jobId: string, srUuid: string): boolean {
  return name.job === jobId && sameUuid(name.sr, srUuid);
}
