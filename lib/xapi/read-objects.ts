import type { CallOptions } from './call';
import { normaliseRecord } from './normalise';
import type { Records } from './records';
import type { Ref } from './refs';
import type { Session } from './session';

export type ReadableClass = keyof Records;

/** What to read: all objects of a class, or those with these refs. */
export type ObjectSelection = { readonly [C in ReadableClass]?: 'all' | readonly Ref<C>[] };

/** Records by ref; what does not exist is not there. */
export type ObjectsRead = { readonly [C in ReadableClass]: ReadonlyMap<Ref<C>, Records[C]> };

/** A float, which the server insists on. With an empty token it answers at once in any case. */
const TIMEOUT_S = 0.1;

/**
 * Reads objects of several classes in one call, as they are at one moment: with an empty token `event.from` gives every
 * existing object of the classes and refs it is asked for (`xapi_event.ml`; since 6.0).
 * @throws XapiError, TransportError
 */
export async function readObjects(
  session: Pick<Session, 'call'>,
  selection: ObjectSelection,
  options: CallOptions,
): Promise<ObjectsRead> {
  const found = Object.fromEntries(classes.map((name) => [name, new Map<string, unknown>()]));
  const wanted = specs(selection);
  if (wanted.length > 0) {
    const { events } = await session.call('event.from', [wanted, '', TIMEOUT_S], options);
    for (const { class: lowerCase, ref, snapshot } of events) {
      const name = classByLowerCase.get(lowerCase);
      if (name !== undefined && snapshot !== undefined)
        found[name]?.set(ref, normaliseRecord(name, snapshot));
    }
  }
  // Each map was filled with records of its own class.
  return found as unknown as ObjectsRead;
}

const classes: readonly ReadableClass[] = [
  'VM',
  'VM_metrics',
  'VDI',
  'VBD',
  'VIF',
  'VTPM',
  'SR',
  'SM',
  'PBD',
  'host',
  'host_metrics',
  'PIF',
  'pool',
  'network',
  'task',
];

/** Events name classes in lower case. */
export const classByLowerCase: ReadonlyMap<string, ReadableClass> = new Map(
  classes.map((name) => [name.toLowerCase(), name]),
);

function specs(selection: ObjectSelection): readonly string[] {
  return classes.flatMap((name) => {
    const wanted = selection[name];
    if (wanted === undefined) return [];
    return wanted === 'all' ? [name] : wanted.map((ref) => `${name}/${ref}`);
  });
}
