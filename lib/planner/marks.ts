/**
 * Names that are marks. A VM snapshot or clone inherits the keys of what it was made of and gets its own only
 * afterwards; its name is the one thing that XAPI sets together with the object. So what we make by snapshot
 * or clone is born under such a name: if we die before its keys are written, the next run still knows it as ours.
 */

export type TemporaryRole = 'snapshot' | 'staging' | 'point' | 'replica' | 'transfer';

export interface TemporaryName {
  readonly role: TemporaryRole;
  readonly job: string;
  readonly sourceVm: string;
  readonly run: string;
}

const pattern =
  /^\[xenrepl (snapshot|staging|point|replica|transfer) ([\w.-]{1,64}) ([\w-]{1,64}) ([\w-]{1,64})\]/;

export function temporaryName(name: TemporaryName, label: string): string {
  return `[xenrepl ${name.role} ${name.job} ${name.sourceVm} ${name.run}] ${label}`;
}

export function parseTemporaryName(nameLabel: string): TemporaryName | null {
  const match = pattern.exec(nameLabel);
  const [, role, job, sourceVm, run] = match ?? [];
  if (role === undefined || job === undefined || sourceVm === undefined || run === undefined) return null;
  return { role: role as TemporaryRole, job, sourceVm, run };
}
