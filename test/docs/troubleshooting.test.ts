/** Every code that the source knows has a row in docs/troubleshooting.md, and no row speaks of a code that is gone. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADVICE } from '../../lib/xapi/error-table';

const root = join(__dirname, '../..');
const lines = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8').split('\n');

/** Cells of the tables under a heading and the ones below it, by what stands in the first cell. */
function rowsUnder(heading: string): ReadonlyMap<string, readonly string[]> {
  const start = lines.indexOf(`## ${heading}`);
  if (start === -1) throw new Error(`docs/troubleshooting.md has no heading "${heading}"`);
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith('## '));
  const section = lines.slice(start, length === -1 ? undefined : start + 1 + length);
  const rows = section.flatMap((line): (readonly [string, readonly string[]])[] => {
    const [, code, rest] = /^\| `([^`]+)` \| (.*) \|$/.exec(line) ?? [];
    return code === undefined || rest === undefined ? [] : [[code, rest.split(' | ')]];
  });
  expect(new Set(rows.map(([code]) => code)).size).toBe(rows.length);
  return new Map(rows);
}

/** The literals of a union in a source file, or of one member of it. */
function union(file: string, type: string, member = ''): readonly string[] {
  const source = readFileSync(join(root, file), 'utf8');
  const [, body] = new RegExp(`export type ${type} =(.*?)(;\\n\\n|;\\n$)`, 's').exec(source) ?? [];
  if (body === undefined) throw new Error(`${file} has no type ${type}`);
  const literals = [...body.matchAll(new RegExp(`${member}'([a-z-]+)'`, 'g'))].map(([, one = '']) => one);
  return member === '' ? literals : [...new Set(literals)];
}

/** What commands throw themselves, and what is answered for an error that bears no code. */
function codesOfCommands(): readonly string[] {
  const folder = join(root, 'lib/cli');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const thrown = files.flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/new CliError\(\s*'([a-z-]+)'/g)].map(
      ([, code = '']) => code,
    ),
  );
  return [...new Set([...thrown, 'unknown', 'pools-file', 'deferred'])];
}

test('codes of the engine and of the command line', () => {
  const known = [...union('lib/engine/errors.ts', 'ReplicationErrorCode'), ...codesOfCommands()];
  expect([...rowsUnder('Of this program').keys()].sort()).toEqual([...new Set(known)].sort());
});

test('failures of connections', () => {
  expect([...rowsUnder('Connections').keys()].sort()).toEqual(
    [...union('lib/xapi/errors.ts', 'TransportKind')].sort(),
  );
});

test('conflicts of a run, and of a seed', () => {
  expect([...rowsUnder('Conflicts').keys()].sort()).toEqual(
    [...union('lib/planner/plan.ts', 'Conflict', 'readonly kind: ')].sort(),
  );
  expect([...rowsUnder('Seeds').keys()].sort()).toEqual(
    [...union('lib/planner/seed.ts', 'SeedConflict', 'readonly kind: ')].sort(),
  );
});

test('codes of the pools, with the advice that the program gives', () => {
  const wanted = Object.entries(ADVICE).map(([code, { retry, hint }]) => [code, [retry, hint]]);
  expect([...rowsUnder('Of the pools')]).toEqual(wanted);
});
