import type { Rpc } from './value';

/** The body is no JSON; the text is what the server puts on its error page. */
export class JsonError extends Error {}

/**
 * Reads JSON into wire values. Not `JSON.parse`: the server tells `1` from `1.0`, keeps 64-bit integers, and refuses
 * surrogates that stand alone.
 * @throws JsonError
 */
export function readJson(text: string): Rpc {
  const reader = new Reader(text);
  const value = reader.value();
  reader.end();
  return value;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): Rpc {
    this.#blank();
    const character = this.#text[this.#at];
    if (character === undefined) throw this.#failure(this.#at, 'Unexpected end of input', 0);
    if (character === '{') return this.#object();
    if (character === '[') return this.#array();
    if (character === '"') return { kind: 'string', text: this.#string() };
    return this.#number() ?? this.#word();
  }

  end(): void {
    this.#blank();
    if (this.#at < this.#text.length) {
      const rest = this.#text.slice(this.#at);
      throw this.#failure(this.#at - 1, `Junk after end of JSON value: '${rest}'`, rest.length + 1);
    }
  }

  #failure(at: number, words: string, length = 1): JsonError {
    const before = this.#text.slice(0, at);
    const line = before.split('\n').length;
    const column = at - (before.lastIndexOf('\n') + 1);
    const start = length === 0 ? Math.max(0, column - 1) : column;
    return new JsonError(`Yojson.Json_error("Line ${line}, bytes ${start}-${column + length}:\\n${words}")`);
  }

  #blank(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #object(): Rpc {
    const members: [string, Rpc][] = [];
    this.#at++;
    this.#blank();
    if (this.#take('}')) return { kind: 'dict', members };
    for (;;) {
      this.#blank();
      if (this.#text[this.#at] !== '"') throw this.#unexpected("Expected string or identifier but found '");
      const name = this.#string();
      this.#blank();
      if (!this.#take(':')) throw this.#unexpected("Expected ':' but found '");
      members.push([name, this.value()]);
      this.#blank();
      if (this.#take('}')) return { kind: 'dict', members };
      if (!this.#take(',')) throw this.#unexpected("Expected ',' or '}' but found '");
    }
  }

  #array(): Rpc {
    const items: Rpc[] = [];
    this.#at++;
    this.#blank();
    if (this.#take(']')) return { kind: 'list', items };
    for (;;) {
      items.push(this.value());
      this.#blank();
      if (this.#take(']')) return { kind: 'list', items };
      if (!this.#take(',')) throw this.#unexpected("Expected ',' or ']' but found '");
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #unexpected(words: string): JsonError {
    const rest = this.#text.slice(this.#at);
    if (rest === '') return this.#failure(this.#at, 'Unexpected end of input', 0);
    return this.#failure(this.#at, `${words}${rest}'`, rest.length);
  }

  #string(): string {
    const start = this.#at;
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === '\\' ? 2 : 1;
    if (end >= this.#text.length) throw this.#failure(this.#text.length, 'Unexpected end of input', 0);
    this.#at = end + 1;
    const text = this.#unescape(this.#text.slice(start, this.#at), start);
    if (/\p{Surrogate}/u.test(text)) throw this.#failure(start, 'Invalid low surrogate for code point', 6);
    return text;
  }

  #unescape(literal: string, at: number): string {
    if (!literal.includes('\\') && isPlain(literal)) return literal.slice(1, -1);
    try {
      return JSON.parse(
        literal.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t'),
      ) as string;
    } catch {
      throw this.#failure(at, `Invalid escape sequence '${literal}'`, literal.length);
    }
  }

  #number(): Rpc | null {
    const match = /^-?\d+(\.\d*)?([eE][+-]?\d+)?/.exec(this.#text.slice(this.#at, this.#at + 400));
    if (match === null) return null;
    this.#at += match[0].length;
    if (match[1] !== undefined || match[2] !== undefined) return { kind: 'float', value: Number(match[0]) };
    const value = BigInt(match[0]);
    if (value < -(2n ** 63n) || value >= 2n ** 63n) throw new JsonError('Failure("Int64.of_string")');
    return { kind: 'int', value };
  }

  #word(): Rpc {
    const word = /^[A-Za-z_]*/.exec(this.#text.slice(this.#at))?.[0] ?? '';
    const value = words.get(word);
    if (value === undefined) {
      const shown = word === '' ? this.#text.slice(this.#at) : word;
      throw this.#failure(this.#at, `Invalid token '${shown}'`, shown.length);
    }
    this.#at += word.length;
    return value;
  }
}

const words: ReadonlyMap<string, Rpc> = new Map<string, Rpc>([
  ['null', { kind: 'null' }],
  ['true', { kind: 'bool', value: true }],
  ['false', { kind: 'bool', value: false }],
]);

/** No control character, so the literal can be taken as it stands. */
function isPlain(literal: string): boolean {
  for (let index = 0; index < literal.length; index++) if (literal.charCodeAt(index) < 32) return false;
  return true;
}
