/** Name of the file beside the launcher that looks at Node's version before anything else is loaded. */
export const versionCheckName = 'node-version.cjs';

const need = 'the xenrepl provider needs Node.js 20.19 or newer';
const remedy = 'or set XENREPL_NODE to the path of one';

/**
 * The file that Terraform starts as "the provider": it finds Node.js and hands over to `provider.cjs` beside it.
 *
 * The text is the same on every machine and holds no path of it. Terraform locks the hash of the folder, so a text
 * that names the machine's own `node` would fail on the colleague's with "doesn't match any of the checksums".
 * The file has no extension, hence a shell script: with a `#!/usr/bin/env node` line Node would ask the nearest
 * package.json of the user's project what kind of module it is, and break under `"type": "module"`.
 *
 * Terraform shows the first line of stdout when it is not the handshake, so complaints are one line. Everything here is
 * built into the shell: Terraform starts the provider several times per command, and each process more is felt.
 *
 * @param serveArguments passed to `provider.cjs`, each a plain word, e.g. `['--serve', 'null']`.
 */
export function providerLauncher(serveArguments: readonly string[] = []): string {
  const strange = serveArguments.find((word) => !/^[\w./-]+$/.test(word));
  if (strange !== undefined) throw new Error(`Not a plain word for a launcher script: "${strange}"`);
  const started = [
    '"$node"',
    '-r',
    `"$folder/${versionCheckName}"`,
    '"$folder/provider.cjs"',
    ...serveArguments,
  ];
  return `#!/bin/sh
# Starts the provider beside this file with Node.js: $XENREPL_NODE, else the node on PATH.
node="\${XENREPL_NODE:-node}"
if ! command -v "$node" >/dev/null 2>&1; then
  echo "${need}, and \\"$node\\" was not found: install it, ${remedy}"
  exit 1
fi
# A path for node -r has to begin with / or ./, else it is the name of a package.
case "$0" in
  /*) folder="\${0%/*}" ;;
  */*) folder="./\${0%/*}" ;;
  *) folder=. ;;
esac
exec ${started.join(' ')} "$@"
`;
}

/**
 * The version check, loaded with `node -r` ahead of the provider: an old Node would fail on the provider's syntax with a
 * stack that Terraform does not show. Written so that any Node since 0.12 can read it.
 */
export const versionCheck = `// Ends the start of the provider with one line that Terraform shows, where Node.js is too old for it.
var parts = process.versions.node.split('.');
if (Number(parts[0]) < 20 || (Number(parts[0]) === 20 && Number(parts[1]) < 19)) {
  var found = process.env.XENREPL_NODE || 'node';
  require('fs').writeSync(
    1,
    '${need}, and "' + found + '" is ' + process.versions.node + ': update it, ${remedy}\\n'
  );
  process.exit(1);
}
`;
