import { Token } from 'cdktf';

/** What an integer property may be, and why: the reason is what lets a user choose another value. */
export interface IntegerRange {
  readonly min: number;
  readonly max: number;
  readonly because: string;
}

/** The value, if it is an integer in the range or not known before Terraform runs; otherwise throws. */
export function checkedInteger(property: string, value: number, { min, max, because }: IntegerRange): number {
  if (Token.isUnresolved(value)) return value;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new Error(`${property} must be an integer from ${min} to ${max}, not ${value}: ${because}`);
  }
  return value;
}

/** The text, if it has anything in it or is not known before Terraform runs; otherwise throws. */
export function checkedText(property: string, value: string, because: string): string {
  if (Token.isUnresolved(value)) return value;
  if (value.trim() === '') throw new Error(`${property} must not be empty: ${because}`);
  return value;
}

/** The text, if it is one of the choices or not known before Terraform runs; otherwise throws. */
export function checkedChoice<Choice extends string>(
  property: string,
  value: Choice,
  choices: readonly Choice[],
  because: string,
): Choice {
  if (Token.isUnresolved(value) || choices.includes(value)) return value;
  throw new Error(
    `${property} must be ${choices.map((one) => `"${one}"`).join(' or ')}, not "${value}": ${because}`,
  );
}

/** The IANA time zone, if it is one or not known before Terraform runs; otherwise throws. */
export function checkedTimeZone(property: string, timeZone: string): string {
  if (Token.isUnresolved(timeZone)) return timeZone;
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return timeZone;
  } catch (cause) {
    throw new Error(
      `${property} must be an IANA time zone such as "Europe/Berlin" or "UTC", not "${timeZone}": ` +
        'the agent may run on a machine that is set to another zone',
      { cause },
    );
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The uuids, if each is one, none twice, or not known before Terraform runs; otherwise throws. */
export function checkedUuids(
  property: string,
  values: readonly string[],
  because: string,
): readonly string[] {
  const strange = values.find((value) => !Token.isUnresolved(value) && !uuid.test(value));
  if (strange !== undefined) {
    throw new Error(
      `${property} must hold uuids (8-4-4-4-12 hexadecimal digits), and "${strange}" is none: ${because}`,
    );
  }
  const known = values.filter((value) => !Token.isUnresolved(value)).map((value) => value.toLowerCase());
  const twice = known.find((value, index) => known.indexOf(value) !== index);
  if (twice !== undefined)
    throw new Error(`${property} must name each once, and "${twice}" stands there twice`);
  return values;
}
