/** HTTP messages in the server's own spelling: clients see these bytes, mistakes and all. */
import type { ApiFailure } from './pool-side';

const NOT_KEPT = ['Connection: close', 'Cache-Control: no-cache, no-store'];

const REASONS = {
  400: 'Bad Request',
  401: 'Unauthorised',
  403: 'Forbidden',
  404: 'Not Found',
  500: 'Internal Error',
} as const;

type Status = keyof typeof REASONS;

/** `200 OK` with the lines that transfers add. Nothing is known about success yet when this goes out. */
export function okHead(version: '1.0' | '1.1', lines: readonly string[]): string {
  return message([`HTTP/${version} 200 OK`, ...NOT_KEPT, ...lines]);
}

/** A status without a body, as the handlers themselves send it. */
export function bareHead(version: '1.0' | '1.1', status: Status): string {
  return message([`HTTP/${version} ${status} ${REASONS[status]}`, ...NOT_KEPT]);
}

/** To the same target on another host. The scheme is always https; cookies are not carried over. */
export function redirectHead(address: string, target: string): string {
  return message(['HTTP/1.1 302 Found', 'Connection: close', `Location: https://${address}${target}`]);
}

export function unauthorisedPage(realm: string): string {
  return page(
    401,
    '<h1>HTTP 401 unauthorised</h1>Please check your credentials and retry.',
    `WWW-Authenticate: Basic realm="${realm}"`,
  );
}

export function forbiddenPage(): string {
  return page(403, '<h1>HTTP 403 forbidden</h1>Access to the requested resource is forbidden.');
}

/** The page for whatever escaped a handler; late failures have it in the middle of a stream. */
export function internalErrorPage(text: string): string {
  return page(
    500,
    '<h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait a while and try again. ' +
      'If the problem persists, please contact your support representative.' +
      `<h1> Additional information </h1>${escaped(text)}`,
  );
}

/** An API failure as the error page prints it: `CODE: [ a; b ]`. */
export function failureText(failure: ApiFailure): string {
  return `${failure.code}: [ ${failure.params.join('; ')} ]`;
}

/** What the page prints for an object that a request names and that does not exist. */
export function missingText(className: string, value: string): string {
  return `Db_exn.Read_missing_uuid("${className}", "", "${value}")`;
}

function page(status: Status, html: string, ...lines: readonly string[]): string {
  const body = `<html><body>${html}</body></html>`;
  const head = message([
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'content-type: text/html',
    'connection: close',
    'cache-control: no-cache, no-store',
    ...lines,
  ]);
  return head + body;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function message(lines: readonly string[]): string {
  return lines.join('\r\n') + '\r\n\r\n';
}
