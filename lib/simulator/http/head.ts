/** Request line and headers of one request. */
export interface Head {
  readonly method: string;
  /** As it was sent, from the first `/` to the blank. */
  readonly target: string;
  /** The target without its query. */
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly version: '1.0' | '1.1';
  /** In order, names in lower case, values trimmed. */
  readonly headers: readonly (readonly [string, string])[];
}

/** Parses a request head (without the blank line at its end); null when it is none. */
export function parseHead(text: string): Head | null {
  const [requestLine = '', ...lines] = text.split('\r\n');
  const parts = /^([A-Za-z]+) (\/\S*) HTTP\/(1\.[01])$/.exec(requestLine);
  if (parts === null) return null;
  const [, method = '', target = '', version] = parts;
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, Math.max(colon, 0)).trim().toLowerCase(), line.slice(colon + 1).trim()];
  });
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const query = question < 0 ? [] : parseQuery(target.slice(question + 1));
  return { method, target, path, query, version: version === '1.0' ? '1.0' : '1.1', headers };
}

export function headerOf(head: Head, name: string): string | undefined {
  return head.headers.find(([candidate]) => candidate === name)?.[1];
}

function parseQuery(text: string): [string, string][] {
  return text.split('&').map((pair) => {
    const equals = pair.indexOf('=');
    return equals < 0 ? [decode(pair), ''] : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
