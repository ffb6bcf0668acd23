/** What lists say of the pool they come from. */
import type { Pool } from '../../xapi';
import type { Command } from '../command';

export function poolOf({ name, uuid, label }: Pool): Readonly<Record<'name' | 'uuid' | 'label', string>> {
  return { name, uuid, label };
}

/** A job whose entry cannot be read is missing from a list; said, so that nobody takes it for deleted. */
export function warnOfUnreadable(
  { warn }: Command,
  unreadable: readonly { readonly key: string; readonly reason: string }[],
): void {
  for (const { key, reason } of unreadable) warn(`cannot read ${key} of pool.other_config: ${reason}`);
}
