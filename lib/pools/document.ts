import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import { PoolsFileError, type PoolsFileProblem } from './errors';

/** The text of a pools file as data, with the way back to its lines. */
export interface ParsedDocument {
  /** Maps, lists and strings only: a password `0123` or `yes` stays what was written. */
  readonly value: unknown;
  /** Line of the key or list entry at this path, or of the nearest one above it that exists. */
  lineOf(path: readonly PropertyKey[]): number;
}

/**
 * Parses YAML. The messages of the parser are not passed on: they quote the text, and so passwords.
 *
 * @throws PoolsFileError with the lines of all faults
 */
export function parsePoolsText(path: string, text: string): ParsedDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { prettyErrors: false, schema: 'failsafe', lineCounter: lines });
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const problems = [...document.errors, ...document.warnings].map(({ code, pos }) => ({
    line: lineAt(pos[0]),
    text: faultTexts[code] ?? 'this is not valid YAML; quote values with special characters',
  }));
  const [first] = [...problems, ...aliasProblems(document, lineAt)];
  if (first !== undefined) {
    // One fault of syntax often causes others after it.
    throw new PoolsFileError(path, [first]);
  }
  return {
    value: document.toJS() as unknown,
    lineOf: (wanted) => lineAt(offsetOf(document, wanted)),
  };
}

const faultTexts: Readonly<Record<string, string>> = {
  BAD_SCALAR_START: 'a value starts with a character that YAML reserves: put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a value holds ": ", which YAML reads as another key: put the value in quotes',
  DUPLICATE_KEY: 'this key stands here twice',
  MISSING_CHAR: 'a quote, bracket or brace is not closed, or a ":" is missing',
  TAB_AS_INDENT: 'indent with spaces, not with tabs',
  BAD_INDENT: 'the indentation does not fit the lines above',
  TAG_RESOLVE_FAILED: 'a value starts with "!", which YAML reserves: put the value in quotes',
  MULTIPLE_DOCS: 'a second document starts here: one file holds one document',
};

/** A password that starts with `*` or `&` would silently become something else. */
function aliasProblems(document: Document, lineAt: (offset: number) => number): PoolsFileProblem[] {
  const problems: PoolsFileProblem[] = [];
  visit(document, {
    Node: (_key, node) => {
      if (isAlias(node) || node.anchor !== undefined) {
        problems.push({
          line: lineAt(node.range?.[0] ?? 0),
          text: 'a value starts with "*" or "&", which YAML reserves: put the value in quotes',
        });
      }
    },
  });
  return problems;
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      offset = isScalar(pair?.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair?.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      offset = isNode(node) ? (node.range?.[0] ?? offset) : offset;
    } else {
      node = undefined;
    }
  }
  return offset;
}
