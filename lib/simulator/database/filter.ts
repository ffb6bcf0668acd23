import { ApiError } from '../errors';
import { databaseName, databaseText } from './notation';
import type { Row } from './table';

type Operand = { readonly kind: 'field' | 'literal'; readonly text: string };
type Expression =
  | { readonly kind: 'constant'; readonly value: boolean }
  | { readonly kind: 'equal'; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'not'; readonly of: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression };

/**
 * Parses the filter language of `get_all_records_where`: comparisons by `=` of `field "name"` and `"literal"` with
 * and, or, not and parentheses. Fields go by their database names: `name__label`, `memory__static_max`.
 * @throws ApiError INVALID_VALUE with the expression and the parser's own words.
 */
export function parseFilter(expression: string): (ref: string, row: Row) => boolean {
  const parser = new Parser(expression);
  const parsed = parser.whole();
  return (ref, row) => evaluate(parsed, ref, row);
}

/** Tokens are words, quoted strings without any escape, and signs. */
function tokens(expression: string): string[] {
  const pattern = /\s+|"[^"]*"|(?:true|false|field|not|and|or)(?![A-Za-z_])|[()=]/y;
  const found: string[] = [];
  while (pattern.lastIndex < expression.length) {
    const match = pattern.exec(expression);
    if (match === null) throw new ApiError('INVALID_VALUE', expression, 'Failure("lexing: empty token")');
    if (match[0].trim() !== '') found.push(match[0]);
  }
  return found;
}

class Parser {
  readonly #expression: string;
  readonly #tokens: string[];

  constructor(expression: string) {
    this.#expression = expression;
    this.#tokens = tokens(expression);
  }

  whole(): Expression {
    const parsed = this.#or();
    if (this.#tokens.length > 0) throw this.#failure();
    return parsed;
  }

  #failure(): ApiError {
    return new ApiError(
      'INVALID_VALUE',
      this.#expression,
      'Xapi_database.Db_filter_parse.MenhirBasics.Error',
    );
  }

  #take(token: string): boolean {
    if (this.#tokens[0] !== token) return false;
    this.#tokens.shift();
    return true;
  }

  #or(): Expression {
    const left = this.#and();
    return this.#take('or') ? { kind: 'or', left, right: this.#or() } : left;
  }

  #and(): Expression {
    const left = this.#not();
    return this.#take('and') ? { kind: 'and', left, right: this.#and() } : left;
  }

  #not(): Expression {
    if (this.#take('not')) return { kind: 'not', of: this.#not() };
    if (this.#take('(')) {
      const inner = this.#or();
      if (!this.#take(')')) throw this.#failure();
      return inner;
    }
    if (this.#take('true')) return { kind: 'constant', value: true };
    if (this.#take('false')) return { kind: 'constant', value: false };
    const left = this.#operand();
    if (!this.#take('=')) throw this.#failure();
    return { kind: 'equal', left, right: this.#operand() };
  }

  #operand(): Operand {
    const kind = this.#take('field') ? 'field' : 'literal';
    const token = this.#tokens.shift();
    if (token?.startsWith('"') !== true) throw this.#failure();
    return { kind, text: token.slice(1, -1) };
  }
}

function evaluate(expression: Expression, ref: string, row: Row): boolean {
  switch (expression.kind) {
    case 'constant':
      return expression.value;
    case 'not':
      return !evaluate(expression.of, ref, row);
    case 'and':
      return evaluate(expression.left, ref, row) && evaluate(expression.right, ref, row);
    case 'or':
      return evaluate(expression.left, ref, row) || evaluate(expression.right, ref, row);
    case 'equal':
      return operandText(expression.left, ref, row) === operandText(expression.right, ref, row);
  }
}

function operandText(operand: Operand, ref: string, row: Row): string {
  if (operand.kind === 'literal') return operand.text;
  if (operand.text === '_ref') return ref;
  const field = operand.text.replace('__', '_');
  const value = row[field];
  if (value === undefined || databaseName(field) !== operand.text)
    throw new ApiError('INTERNAL_ERROR', 'missing field', operand.text, '');
  return databaseText(value);
}
