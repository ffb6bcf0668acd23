/** A type of the Xen API as the datamodel writes it, parsed once. */
export type Type =
  | { readonly kind: 'string' | 'int' | 'float' | 'bool' | 'datetime' | 'void' }
  | { readonly kind: 'ref'; readonly of: string }
  | { readonly kind: 'record'; readonly of: string }
  | { readonly kind: 'enum'; readonly name: string; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'set' | 'option'; readonly of: Type }
  | { readonly kind: 'map'; readonly key: Type; readonly value: Type };

/** Enum name to its members; the keys of the inner map are lower case, since the server compares without case. */
export type Enums = ReadonlyMap<string, ReadonlyMap<string, string>>;

const plain = new Set(['string', 'int', 'float', 'bool', 'datetime', 'void']);

/**
 * Parses the datamodel's type syntax, for example `(string -> VDI ref set) map`.
 * @throws Error when the text is no type: the datamodel file itself is broken then.
 */
export function parseType(text: string, enums: Enums): Type {
  if (plain.has(text)) return { kind: text as 'string' };
  const words = /^(.*) (set|option|ref|record|map)$/.exec(text);
  const [, inner = '', last] = words ?? [];
  if (last === 'set' || last === 'option') return { kind: last, of: parseType(inner, enums) };
  if (last === 'ref' || last === 'record') return { kind: last, of: inner };
  if (last === 'map') return parseMap(inner, enums);
  if (text.startsWith('enum ')) return parseEnum(text.slice(5), enums);
  throw new Error(`the datamodel holds an unknown type "${text}"`);
}

function parseEnum(name: string, enums: Enums): Type {
  const values = enums.get(name);
  if (values === undefined) throw new Error(`the datamodel names an unknown enum "${name}"`);
  return { kind: 'enum', name, values };
}

/** `(K -> V)`; K is never a map itself, so the first arrow outside of parentheses is the one that counts. */
function parseMap(text: string, enums: Enums): Type {
  const [key = '', ...rest] = text.slice(1, -1).split(' -> ');
  return { kind: 'map', key: parseType(key, enums), value: parseType(rest.join(' -> '), enums) };
}
