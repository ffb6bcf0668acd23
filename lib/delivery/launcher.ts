/**
 * The file that Terraform starts as "the provider": it finds Node.js and hands over to `provider.cjs` beside it.
 *
 * The text is the same on every machine and holds no path of it. Terraform locks the hash of the folder, so a text
 * that names the machine's own `node` would fail on the colleague's with "doesn't match any of the checksums".
 * The file has no extension, hence a shell script: with a `#!/usr/bin/env node` line Node would ask the nearest
 * package.json of the user's project what kind of module it is, and break under `"type": "module"`.
 *
 * Terraform shows the first line of stdout when it is not the handshake, so both complaints are one line each.
 *
 * @param serveArguments passed to `provider.cjs`, each a plain word, e.g. `['--serve', 'null']`.
 */
export function providerLauncher(serveArguments: readonly string[] = []): string {
  const strange = serveArguments.find((word) => !/^[\w./-]+$/.test(word));
  if (strange !== undefined) throw new Error(`Not a plain word for a launcher script: "${strange}"`);
  const handOver = ['exec "$node" "$folder/provider.cjs"', ...serveArguments, '"$@"'].join(' ');
  return `#!/bin/sh
# Starts the provider beside this file with Node.js: $XENREPL_NODE, else the node on PATH.
node="\${XENREPL_NODE:-node}"
need="the xenrepl provider needs Node.js 20.19 or newer"
if ! version=$("$node" --version 2>/dev/null); then
  echo "$need: \\"$node\\" was not found or does not start; install it, or set XENREPL_NODE to its path"
  exit 1
fi
major="\${version#v}"
major="\${major%%.*}"
minor="\${version#*.}"
minor="\${minor%%.*}"
if [ "$major" -lt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -lt 19 ]; }; then
  echo "$need: \\"$node\\" is $version; update it, or set XENREPL_NODE to the path of a newer one"
  exit 1
fi
case "$0" in
  */*) folder="\${0%/*}" ;;
  *) folder=. ;;
esac
${handOver}
`;
}
