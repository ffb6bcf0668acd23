/**
 * Parses a date as XAPI writes it, `20240131T13:20:11Z`, to epoch milliseconds. Dashes, fractions and a missing zone
 * (taken as UTC) are accepted, since some releases and some fields have them. The epoch means "never".
 * @throws RangeError where the text is no date
 */
export function parseXapiDate(text: string): number {
  const match = /^(\d{4})-?(\d\d)-?(\d\d)T(\d\d):(\d\d):(\d\d(?:\.\d+)?)(?:Z|\+00:?00)?$/.exec(text);
  if (match === null) throw new RangeError(`not a date as XAPI writes it (20240131T13:20:11Z): "${text}"`);
  const [, year, month, day, hour, minute, second] = match;
  const ms = Date.parse(
    `${year ?? ''}-${month ?? ''}-${day ?? ''}T${hour ?? ''}:${minute ?? ''}:${second ?? ''}Z`,
  );
  if (Number.isNaN(ms)) throw new RangeError(`no such date: "${text}"`);
  return ms;
}

/** Formats epoch milliseconds as XAPI does, `20240131T13:20:11Z`, cut to whole seconds. */
export function formatXapiDate(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 19).replace(/-/g, '')}Z`;
}
