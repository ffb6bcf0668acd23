/** What the result of a task can hold. */
export type XmlValue = string | number | boolean | readonly XmlValue[] | { readonly [key: string]: XmlValue };

/**
 * Reads the `result` of a task: an XML-RPC fragment even where calls go over JSON-RPC, for example
 * `<value>OpaqueRef:…</value>`. Empty for tasks without a result; old hosts also give a bare ref.
 * @throws SyntaxError where it is neither
 */
export function parseTaskResult(text: string): XmlValue {
  const trimmed = text.trim();
  if (!trimmed.startsWith('<')) return trimmed;
  const scanner = new Scanner(trimmed);
  const value = readValue(scanner);
  scanner.end();
  return value;
}

function readValue(scanner: Scanner): XmlValue {
  if (scanner.tryTag('value/')) return '';
  scanner.tag('value');
  const text = scanner.text();
  if (scanner.tryTag('/value')) return text;
  const value = readTyped(scanner);
  scanner.text();
  scanner.tag('/value');
  return value;
}

function readTyped(scanner: Scanner): XmlValue {
  const type = scanner.anyTag();
  if (type === 'array') return readArray(scanner);
  if (type === 'struct') return readStruct(scanner);
  if (type.endsWith('/')) return '';
  const text = scanner.text();
  scanner.tag(`/${type}`);
  if (type === 'boolean') return text === '1';
  return type === 'int' || type === 'i4' || type === 'i8' || type === 'double' ? Number(text) : text;
}

function readArray(scanner: Scanner): XmlValue {
  const items: XmlValue[] = [];
  scanner.text();
  if (!scanner.tryTag('data/')) {
    scanner.tag('data');
    for (scanner.text(); !scanner.tryTag('/data'); scanner.text()) items.push(readValue(scanner));
  }
  scanner.text();
  scanner.tag('/array');
  return items;
}

function readStruct(scanner: Scanner): XmlValue {
  const members: [string, XmlValue][] = [];
  for (scanner.text(); !scanner.tryTag('/struct'); scanner.text()) {
    scanner.tag('member');
    scanner.text();
    scanner.tag('name');
    const name = scanner.text();
    scanner.tag('/name');
    scanner.text();
    members.push([name, readValue(scanner)]);
    scanner.text();
    scanner.tag('/member');
  }
  return Object.fromEntries(members);
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Walks over tags without attributes and the text between them, which is all that XML-RPC has. */
class Scanner {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  text(): string {
    const end = this.#source.indexOf('<', this.#at);
    const raw = this.#source.slice(this.#at, end === -1 ? undefined : end);
    this.#at += raw.length;
    return raw.replace(
      /&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi,
      (whole: string, decimal: string | undefined, hex: string | undefined, name: string | undefined) =>
        decimal !== undefined
          ? String.fromCodePoint(Number(decimal))
          : hex !== undefined
            ? String.fromCodePoint(parseInt(hex, 16))
            : (ENTITIES[name ?? ''] ?? whole),
    );
  }

  tryTag(name: string): boolean {
    if (!this.#source.startsWith(`<${name}>`, this.#at)) return false;
    this.#at += name.length + 2;
    return true;
  }

  tag(name: string): void {
    if (!this.tryTag(name)) throw this.#unexpected(`<${name}>`);
  }

  anyTag(): string {
    const name = /^<([\w.]+\/?)>/.exec(this.#source.slice(this.#at, this.#at + 40))?.[1];
    if (name === undefined) throw this.#unexpected('an opening tag');
    this.#at += name.length + 2;
    return name;
  }

  end(): void {
    if (this.#at !== this.#source.length) throw this.#unexpected('the end');
  }

  #unexpected(wanted: string): SyntaxError {
    const found = this.#source.slice(this.#at, this.#at + 40);
    return new SyntaxError(`the result of a task is not XML-RPC: expected ${wanted} at "${found}"`);
  }
}
