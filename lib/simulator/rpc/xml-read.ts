import type { Rpc } from './value';

/** The body is no XML-RPC call; the text is what the server puts on its error page. */
export class XmlError extends Error {}

export interface MethodCall {
  readonly method: string;
  readonly params: readonly Rpc[];
}

type Token =
  | { readonly kind: 'open' | 'close'; readonly name: string }
  | { readonly kind: 'text'; readonly text: string };

/**
 * Reads an XML-RPC `methodCall`.
 * @throws XmlError with the text of the real server's parser.
 */
export function readMethodCall(text: string): MethodCall {
  const reader = new Reader(tokens(text));
  reader.open('methodCall');
  reader.open('methodName');
  const method = reader.text();
  if (method === '') throw parseError('close_tag', 'data');
  reader.close();
  reader.open('params');
  const params: Rpc[] = [];
  while (reader.startsElement()) {
    reader.open('param');
    params.push(reader.value());
    reader.close();
  }
  reader.close();
  reader.close();
  return { method, params };
}

/** Reads one `<value>…</value>`, as it stands in task results and in ova.xml. */
export function readXmlValue(text: string): Rpc {
  return new Reader(tokens(text)).value();
}

function parseError(got: string, wanted: string): XmlError {
  return new XmlError(`Xmlrpc.Parse_error("${got}", "${wanted}", _)`);
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(list: readonly Token[]) {
    this.#tokens = list;
  }

  open(name: string): void {
    this.#skipBlank();
    const token = this.#tokens[this.#at++];
    if (token?.kind === 'open' && token.name === name) return;
    if (token?.kind === 'open') throw parseError(`open_tag(${token.name})`, `open_tag(${name})`);
    throw parseError(token?.kind === 'text' ? 'data' : 'close_tag', 'open_tag');
  }

  close(): void {
    this.#skipBlank();
    const token = this.#tokens[this.#at++];
    if (token?.kind !== 'close')
      throw parseError(token?.kind === 'open' ? `open_tag(${token.name})` : 'data', 'close_tag');
  }

  text(): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'text') return '';
    this.#at++;
    return token.text;
  }

  startsElement(): boolean {
    this.#skipBlank();
    return this.#tokens[this.#at]?.kind === 'open';
  }

  value(): Rpc {
    this.open('value');
    const inner = this.#inner();
    this.close();
    return inner;
  }

  #skipBlank(): void {
    const token = this.#tokens[this.#at];
    if (token?.kind === 'text' && token.text.trim() === '') this.#at++;
  }

  #inner(): Rpc {
    const token = this.#tokens[this.#at];
    const next = this.#tokens[this.#at + 1];
    if (token?.kind === 'text' && (next?.kind === 'close' || token.text.trim() !== ''))
      return { kind: 'string', text: this.text() };
    if (token?.kind === 'close') return { kind: 'string', text: '' };
    this.#skipBlank();
    const element = this.#tokens[this.#at++];
    if (element?.kind !== 'open') throw parseError('close_tag', 'open_tag');
    const value = this.#typed(element.name);
    this.close();
    return value;
  }

  #typed(name: string): Rpc {
    switch (name) {
      case 'array':
        return this.#array();
      case 'struct':
        return this.#struct();
      case 'nil':
        return { kind: 'null' };
      default:
        return scalar(name, this.text());
    }
  }

  #array(): Rpc {
    const items: Rpc[] = [];
    this.open('data');
    while (this.startsElement()) items.push(this.value());
    this.close();
    return { kind: 'list', items };
  }

  #struct(): Rpc {
    const members: [string, Rpc][] = [];
    while (this.startsElement()) {
      this.open('member');
      this.open('name');
      const name = this.text();
      this.close();
      members.push([name, this.value()]);
      this.close();
    }
    return { kind: 'dict', members };
  }
}

function scalar(name: string, text: string): Rpc {
  switch (name) {
    case 'string':
    case 'base64':
      return { kind: 'string', text };
    case 'int':
    case 'i4':
    case 'i8':
      if (!/^-?\d+$/.test(text)) throw new XmlError('Failure("Int64.of_string")');
      return { kind: 'int', value: BigInt(text) };
    case 'double':
      if (!/^[+-]?\d+\.?\d*(e[+-]?\d+)?$/i.test(text)) throw new XmlError('Failure("float_of_string")');
      return { kind: 'float', value: Number(text) };
    case 'boolean':
      if (!/^(0|1|true|false)$/.test(text)) throw new XmlError('Failure("bool_of_string")');
      return { kind: 'bool', value: text === '1' || text === 'true' };
    case 'dateTime.iso8601':
      return { kind: 'datetime', text };
    default:
      throw parseError(`open_tag(${name})`, 'open_tag(int|i8|i4|boolean|string|double|…)');
  }
}

/** Splits a document into its tags and texts; comments and processing instructions are left out. */
function tokens(source: string): Token[] {
  const found: Token[] = [];
  const pattern =
    /<\?[\s\S]*?\?>|<!--[\s\S]*?-->|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([A-Za-z_][\w.:-]*)(?:\s[^<>]*?)?(\/?)>|[^<]+/y;
  const open: string[] = [];
  while (pattern.lastIndex < source.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(source);
    if (match === null)
      throw xmlm(source, at, found.length === 0 ? 'expected root element' : 'malformed tag');
    const [whole, cdata, slash, name, selfClosing] = match;
    if (name !== undefined)
      tag(found, open, name, slash === '/', selfClosing === '/', () => xmlm(source, at, ''));
    else if (cdata !== undefined) addText(found, cdata);
    else if (!whole.startsWith('<')) {
      if (open.length === 0 && whole.trim() !== '')
        throw xmlm(
          source,
          at,
          found.length === 0 ? 'expected root element' : 'unexpected content after root',
        );
      if (open.length > 0) addText(found, decode(whole, source, at));
    }
  }
  if (found.length === 0 || open.length > 0) throw xmlm(source, source.length, 'unexpected end of input');
  return found;
}

function tag(
  found: Token[],
  open: string[],
  name: string,
  closing: boolean,
  selfClosing: boolean,
  failure: () => XmlError,
): void {
  if (closing) {
    if (open.pop() !== name) throw failure();
    found.push({ kind: 'close', name });
    return;
  }
  found.push({ kind: 'open', name });
  if (selfClosing) found.push({ kind: 'close', name });
  else open.push(name);
}

/** Neighbouring pieces of text (around CDATA or a comment) are one text. */
function addText(found: Token[], text: string): void {
  const last = found.at(-1);
  if (last?.kind === 'text') found[found.length - 1] = { kind: 'text', text: last.text + text };
  else found.push({ kind: 'text', text });
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decode(text: string, source: string, at: number): string {
  const decoded = text.replaceAll(/\r\n?/g, '\n').replaceAll(/&([^;&]*);?/g, (whole, name: string) => {
    const code = /^#(?:x([\da-fA-F]+)|(\d+))$/.exec(name);
    const character = code === null ? entities[name] : fromCode(code[1], code[2]);
    if (character === undefined || !whole.endsWith(';'))
      throw xmlm(source, at, `unknown entity reference (${name})`);
    return character;
  });
  return decoded;
}

function fromCode(hexadecimal: string | undefined, decimal: string | undefined): string | undefined {
  const code = hexadecimal === undefined ? Number(decimal) : Number.parseInt(hexadecimal, 16);
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}

function xmlm(source: string, at: number, words: string): XmlError {
  const before = source.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  return new XmlError(`Xmlm.Error(${line}:${column}, "${words === '' ? 'malformed tag' : words}")`);
}
