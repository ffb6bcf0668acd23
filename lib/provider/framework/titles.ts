import type { ValueObject } from './value';

/** `Unable to Create Replication Job "web"`; without the name where it is not known. */
export function unableTo(verb: string, noun: string, values: ValueObject): string {
  const name = [values['name'], values['id']].find((value) => typeof value === 'string');
  return `Unable to ${verb} ${noun}${name === undefined ? '' : ` "${name}"`}`;
}
