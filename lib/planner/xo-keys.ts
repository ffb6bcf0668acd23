/**
 * Xen Orchestra's keys in `other_config`, read. They say which copy an object belongs to, and alone they prove nothing:
 * its engine has written them on copies that lack blocks. What we write of them stands beside our own commits.
 */

/** Each as it stands on one object; null where it is absent. */
export interface XoKeys {
  readonly job: string | null;
  readonly schedule: string | null;
  /** The source VM. */
  readonly vm: string | null;
  /** `YYYYMMDDTHH:MM:SSZ`, the same on every object of one copy; 1970 while it is unfinished. */
  readonly datetime: string | null;
  readonly sr: string | null;
  /** On a VM the source snapshot, on a disk the source snapshot's disk. */
  readonly copyOf: string | null;
  readonly contentKey: string | null;
  /** Written on the source side after the last byte. */
  readonly exported: boolean;
}

export function readXoKeys(otherConfig: Readonly<Record<string, string>>): XoKeys {
  const value = (key: string): string | null => otherConfig[key] ?? null;
  return {
    job: value('xo:backup:job'),
    schedule: value('xo:backup:schedule'),
    vm: value('xo:backup:vm'),
    datetime: value('xo:backup:datetime'),
    sr: value('xo:backup:sr'),
    copyOf: value('xo:copy_of'),
    contentKey: value('xo:backup:contentKey'),
    exported: value('xo:backup:exported') === 'true',
  };
}

/** The marker that Xen Orchestra puts in place of a time while a copy is unfinished. */
export function isUnfinished({ datetime }: XoKeys): boolean {
  return datetime?.startsWith('1970') === true;
}
