import type { z } from 'zod';
import type { ParsedDocument } from './document';
import type { PoolsFileProblem } from './errors';
import { poolKeys } from './schema';

/** Says in words what the schema found, each with its line. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  document: ParsedDocument,
): PoolsFileProblem[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey([...issue.path, key], document));
    }
    const inner = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined;
    return [problem(issue.path, inner ?? issue.message, document)];
  });
}

function unknownKey(path: readonly PropertyKey[], document: ParsedDocument): PoolsFileProblem {
  const known = path.length === 1 ? ['pools'] : poolKeys;
  return problem(path, `is not known here; known: ${known.join(', ')}`, document);
}

function problem(path: readonly PropertyKey[], text: string, document: ParsedDocument): PoolsFileProblem {
  const where = path.map(shown).join('.');
  return {
    line: path.length === 0 ? 1 : document.lineOf(path),
    text: where === '' ? text : `${where}: ${text}`,
  };
}

/** `password:secret` without the blank is a key of that name: what does not look like a key is not repeated. */
function shown(key: PropertyKey): string {
  const name = String(key);
  return /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)
    ? name
    : '(key with other characters than letters, digits and _)';
}
