import { XmlError, readMethodCall } from '../rpc/xml-read';
import { JsonError, readJson } from '../rpc/json-read';
import { jsonWriter, marshal, marshalBatch, marshalEvents, xmlWriter, type Writer } from '../rpc/marshal';
import { findDirtyText } from '../rpc/parameters';
import type { Reply } from '../rpc/dispatch';
import type { Pool } from '../pool/pool';
import { isCleanText, type Rpc } from '../rpc/value';

/** A body that is no call; the text is what stands on the server's error page. */
export class BodyError extends Error {}

/** A call read from a body, and how its reply is framed. */
export interface BodyCall {
  readonly method: string;
  readonly params: readonly Rpc[];
  /** The wire text of a reply. */
  frame(pool: Pool, reply: Exclude<Reply, { kind: 'silence' }>): string;
  readonly contentType: 'application/json' | 'text/xml';
}

/** A complete reply to a body whose strings the server refuses before it looks at the call. */
export interface RefusedBody {
  readonly refused: string;
}

/** @throws BodyError */
export function readXmlBody(body: Buffer): BodyCall {
  const source = decode(body);
  if (!isCleanText(source)) throw new BodyError('Xmlm.Error(1:1, "illegal character")');
  try {
    const { method, params } = readMethodCall(source);
    return { method, params, frame: frameXml, contentType: 'text/xml' };
  } catch (error) {
    if (error instanceof XmlError) throw new BodyError(error.message);
    throw error;
  }
}

/** @throws BodyError */
export function readJsonBody(body: Buffer, twoPointZero: boolean): BodyCall | RefusedBody {
  const source = decode(body);
  if (source.trim() === '') throw new BodyError('Yojson.Json_error("Blank input data")');
  const members = jsonMembers(source);
  const version = members.get('jsonrpc');
  if (version !== undefined && !(version.kind === 'string' && version.text === '2.0'))
    throw malformed("Invalid field 'jsonrpc' in request body");
  const method = members.get('method');
  if (method === undefined) throw malformed('Required field method is missing');
  if (method.kind !== 'string') throw malformed("Invalid field 'method' in request body");
  const given = members.get('params');
  const params = given === undefined ? [] : given.kind === 'list' ? given.items : [given];
  const id = members.get('id');
  if (id?.kind !== 'int' && id?.kind !== 'string') throw malformed("Invalid field 'id' in request body");
  const idText = id.kind === 'int' ? id.value.toString() : JSON.stringify(id.text);
  const dirty = findDirtyText(params);
  if (dirty !== null) return { refused: refusal(dirty) };
  const second = version !== undefined && twoPointZero;
  return {
    method: method.text,
    params,
    frame: (pool, reply) => frameJson(pool, reply, idText, second),
    contentType: 'application/json',
  };
}

/** This reply escapes the ordinary framing: an array as error, whatever the version, and no id. */
function refusal(dirty: string): string {
  const error = JSON.stringify(['INVALID_VALUE', 'Invalid UTF-8 string in parameter', dirty]);
  return `{"jsonrpc":"2.0","error":${error},"id":0}`;
}

function malformed(words: string): BodyError {
  return new BodyError(`Jsonrpc.Malformed_method_request("${words}")`);
}

function jsonMembers(source: string): ReadonlyMap<string, Rpc> {
  try {
    const parsed = readJson(source);
    if (parsed.kind !== 'dict') throw malformed('Invalid request body');
    return new Map(parsed.members);
  } catch (error) {
    if (error instanceof JsonError) throw new BodyError(error.message);
    throw error;
  }
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new BodyError('Xmlm.Error(1:1, "character sequence illegal here")');
  }
}

function valueText(
  pool: Pool,
  reply: Exclude<Reply, { kind: 'silence' | 'failure' }>,
  writer: Writer,
): string {
  switch (reply.kind) {
    case 'value':
      return marshal(reply.value, reply.type, writer, pool.model);
    case 'batch':
      return marshalBatch(reply.batch, writer, pool.model);
    case 'events':
      return marshalEvents(reply.events, writer, pool.model);
    case 'methods':
      return writer.list(reply.names.map((name) => writer.text(name)));
  }
}

function frameJson(
  pool: Pool,
  reply: Exclude<Reply, { kind: 'silence' }>,
  id: string,
  second: boolean,
): string {
  if (reply.kind === 'failure') {
    const { code, params } = reply.error;
    return second
      ? `{"jsonrpc":"2.0","error":{"code":1,"message":${JSON.stringify(code)},"data":${JSON.stringify(params)}},"id":${id}}`
      : `{"result":null,"error":${JSON.stringify([code, ...params])},"id":${id}}`;
  }
  const value = valueText(pool, reply, jsonWriter);
  return second
    ? `{"jsonrpc":"2.0","result":${value},"id":${id}}`
    : `{"result":${value},"error":null,"id":${id}}`;
}

/** `system.listMethods` alone comes without the usual struct around it. */
function frameXml(pool: Pool, reply: Exclude<Reply, { kind: 'silence' }>): string {
  const inner = reply.kind === 'methods' ? valueText(pool, reply, xmlWriter) : statusStruct(pool, reply);
  return `<?xml version="1.0"?><methodResponse><params><param>${inner}</param></params></methodResponse>`;
}

function statusStruct(pool: Pool, reply: Exclude<Reply, { kind: 'silence' }>): string {
  if (reply.kind === 'failure') {
    const { code, params } = reply.error;
    return xmlWriter.struct([
      ['Status', xmlWriter.text('Failure')],
      ['ErrorDescription', xmlWriter.list([code, ...params].map((part) => xmlWriter.text(part)))],
    ]);
  }
  return xmlWriter.struct([
    ['Status', xmlWriter.text('Success')],
    ['Value', valueText(pool, reply, xmlWriter)],
  ]);
}
