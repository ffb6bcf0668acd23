/**
 * How a host answers. XenServer 6.5 to 7.2 answer a JSON-RPC 2.0 request in the shape of 1.0; a host without JSON-RPC
 * answers it in XML, which makes a client fall back.
 */
export type Dialect = 'json-rpc 2.0' | 'json-rpc 1.0' | 'xml-rpc';

export class ApiFailure extends Error {
  readonly info: readonly string[];

  constructor(...info: readonly string[]) {
    super(info[0]);
    this.info = info;
  }
}

/** Thrown by a handler to leave a call without any answer and cut its connection. */
export class CutConnection extends Error {}

/** Thrown by a handler to answer with this body instead of a reply. */
export class RawAnswer extends Error {}

type Answer = (method: string, params: readonly unknown[]) => unknown;

/** The response to one POST; null where the connection is to be cut instead. */
export async function answerRpc(
  path: string,
  body: string,
  dialect: Dialect,
  answer: Answer,
): Promise<string | null> {
  if (dialect === 'xml-rpc') {
    if (path === '/jsonrpc') return http('text/xml', xml(failure(['MESSAGE_METHOD_UNKNOWN'])));
    const method = /<methodName>(.*?)<\/methodName>/.exec(body)?.[1] ?? '';
    const params = [...body.matchAll(/<param><value>(?:<string>)?(.*?)(?:<\/string>)?<\/value><\/param>/gs)];
    const result = await settle(
      method,
      params.map((match) => match[1] ?? ''),
      answer,
    );
    if (result === null) return null;
    if ('raw' in result) return http('text/xml', result.raw);
    const struct = 'error' in result ? failure(result.error) : { Status: 'Success', Value: result.value };
    return http('text/xml', xml(struct));
  }
  const request = JSON.parse(body) as { id: number; method: string; params: readonly unknown[] };
  const result = await settle(request.method, request.params, answer);
  if (result === null) return null;
  if ('raw' in result) return http('application/json', result.raw);
  return http('application/json', JSON.stringify(json(request.id, result, dialect)));
}

type Settled = { readonly value: unknown } | { readonly error: readonly string[] } | { readonly raw: string };

async function settle(method: string, params: readonly unknown[], answer: Answer): Promise<Settled | null> {
  try {
    return { value: await answer(method, params) };
  } catch (error) {
    if (error instanceof ApiFailure) return { error: error.info };
    if (error instanceof CutConnection) return null;
    if (error instanceof RawAnswer) return { raw: error.message };
    throw error;
  }
}

function json(id: number, settled: Exclude<Settled, { readonly raw: string }>, dialect: Dialect): unknown {
  if (dialect === 'json-rpc 1.0')
    return 'error' in settled
      ? { result: null, error: settled.error, id }
      : { result: settled.value, error: null, id };
  if ('value' in settled) return { jsonrpc: '2.0', result: settled.value, id };
  const [message, ...data] = settled.error;
  return { jsonrpc: '2.0', error: { code: 1, message, data }, id };
}

function failure(info: readonly string[]): unknown {
  return { Status: 'Failure', ErrorDescription: info };
}

function xml(value: unknown): string {
  return `<?xml version="1.0"?><methodResponse><params><param>${xmlValue(value)}</param></params></methodResponse>`;
}

/** As xapi writes it: integers as bare text, fractions as doubles, dates with their own tag. */
function xmlValue(value: unknown): string {
  if (typeof value === 'boolean') return `<value><boolean>${value ? 1 : 0}</boolean></value>`;
  if (typeof value === 'number')
    return Number.isInteger(value) ? `<value>${value}</value>` : `<value><double>${value}</double></value>`;
  if (Array.isArray(value))
    return `<value><array><data>${value.map(xmlValue).join('')}</data></array></value>`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([name, member]) => `<member><name>${name}</name>${xmlValue(member)}</member>`,
    );
    return `<value><struct>${members.join('')}</struct></value>`;
  }
  const text = String(value);
  return /^\d{8}T\d\d:\d\d:\d\dZ$/.test(text)
    ? `<value><dateTime.iso8601>${text}</dateTime.iso8601></value>`
    : `<value>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</value>`;
}

function http(contentType: string, body: string): string {
  return (
    'HTTP/1.1 200 OK\r\n' +
    `content-length: ${Buffer.byteLength(body)}\r\n` +
    'connection: keep-alive\r\n' +
    `content-type: ${contentType}\r\n\r\n${body}`
  );
}
