import { escapeHtml } from '../rpc/marshal';

type Status = 403 | 404 | 408 | 431 | 500 | 501;

/** The server's error page of a status. `information` is what went wrong inside. */
export function errorPage(status: Status, information = ''): string {
  const [reason, body] = pages[status](escapeHtml(information));
  const html = `<html><body>${body}</body></html>`;
  return [
    `HTTP/1.1 ${status} ${reason}`,
    `content-length: ${Buffer.byteLength(html)}`,
    'content-type: text/html',
    'connection: close',
    'cache-control: no-cache, no-store',
    '',
    html,
  ].join('\r\n');
}

const pages: Readonly<Record<Status, (information: string) => readonly [string, string]>> = {
  403: () => ['Forbidden', '<h1>HTTP 403 forbidden</h1>Access to the requested resource is forbidden.'],
  404: () => ['Not Found', '<h1>HTTP 404 not found</h1>'],
  408: () => ['Request Timeout', '<h1>HTTP 408 request timeout</h1>Timed out waiting for the request.'],
  431: () => [
    'Request Header Fields Too Large',
    '<h1>HTTP 431 request header fields too large</h1>Exceeded the maximum header size.',
  ],
  500: (information) => [
    'Internal Error',
    '<h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait a while and try again. ' +
      'If the problem persists, please contact your support representative.' +
      `<h1> Additional information </h1>${information}`,
  ],
  501: (method) => [
    'Method not implemented',
    `<h1>HTTP 501 Method Not Implemented</h1><p>Unknown ${method} not supported.<br /></p>`,
  ],
};
