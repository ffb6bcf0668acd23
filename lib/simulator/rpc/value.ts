/**
 * A value as it came over the wire, before the datamodel said what it has to be. Both transports give the same
 * variants, because the server's answers to a wrong type quote them (`Expected string, got 'I(5)'`).
 */
export type Rpc =
  | { readonly kind: 'null' }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'datetime'; readonly text: string }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'list'; readonly items: readonly Rpc[] }
  | { readonly kind: 'dict'; readonly members: readonly (readonly [string, Rpc])[] };

/** The value as the server writes it into error texts. */
export function showRpc(value: Rpc): string {
  switch (value.kind) {
    case 'null':
      return 'N';
    case 'string':
      return `S(${value.text})`;
    case 'datetime':
      return `D(${value.text})`;
    case 'int':
      return `I(${value.value.toString()})`;
    case 'float':
      return `F(${Number(value.value.toPrecision(6)).toString()})`;
    case 'bool':
      return `B(${String(value.value)})`;
    case 'list':
      return `[${value.items.map(showRpc).join(';')}]`;
    case 'dict':
      return `{${value.members.map(([name, member]) => `${name}:${showRpc(member)}`).join(';')}}`;
  }
}

/**
 * True for characters that the server takes: valid XML 1.0 characters. Others (control characters, U+FFFE,
 * surrogates on their own) are refused with `INVALID_VALUE`.
 */
export function isCleanText(text: string): boolean {
  return !forbidden.test(text);
}

/** Built from a string: a literal would hold the control characters that it looks for. */
const forbidden = new RegExp(
  '[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff]|\\p{Surrogate}',
  'u',
);
