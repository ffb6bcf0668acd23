// Bundles the provider into one file that needs nothing but node.
//
// Terraform starts the provider several times per command, mostly to ask for its schema, so what is not needed for that
// (sessions with pools, the engine) is not even parsed: it lies compressed inside the file and is unpacked when the
// provider is configured. One file, because its hash stands in lock files and the launcher looks for nothing else.
//
//   node scripts/bundle-provider.mjs [OUTFILE]        default: dist/bundle/provider.cjs
import { build } from 'esbuild';
import { appendFileSync, chmodSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = resolve(import.meta.dirname, '..');

const options = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // The ES module builds of libraries leave out what is not used; the file is a third smaller and starts sooner.
  mainFields: ['module', 'main'],
  minify: true,
  keepNames: true,
  legalComments: 'external',
  // xen-api brings it along for proxy configurations in JavaScript, loaded on use only; we give xen-api a transport of our
  // own, and a third of the late part would be a JavaScript engine.
  external: ['pac-proxy-agent'],
  logLevel: 'warning',
};

export async function bundleProvider(relativeOutfile) {
  const outfile = resolve(root, relativeOutfile);
  const late = await bundleLate();
  await build({
    ...options,
    entryPoints: ['lib/provider/main.ts'],
    outfile,
    plugins: [unpackLate(late.code)],
  });
  appendFileSync(`${outfile}.LEGAL.txt`, late.legal);
  chmodSync(outfile, 0o755);
}

async function bundleLate() {
  const { outputFiles } = await build({
    ...options,
    entryPoints: ['lib/provider/xenrepl/engine-side.ts'],
    outfile: 'engine-side.cjs',
    write: false,
  });
  const textOf = (ending) => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
  return { code: textOf('engine-side.cjs'), legal: textOf('.LEGAL.txt') };
}

/** Replaces the dynamic import of the late part by a module that unpacks and runs it. */
function unpackLate(code) {
  const packed = gzipSync(code, { level: 9 }).toString('base64');
  return {
    name: 'unpack-late',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\/engine-side\.js$/ }, ({ kind, path }) =>
        kind === 'dynamic-import' ? { path, namespace: 'late' } : undefined,
      );
      onLoad({ filter: /./, namespace: 'late' }, () => ({
        loader: 'js',
        contents: `
          const { gunzipSync } = require('node:zlib');
          const { compileFunction, constants } = require('node:vm');
          const code = gunzipSync(Buffer.from(${JSON.stringify(packed)}, 'base64')).toString('utf8');
          const late = { exports: {} };
          compileFunction(code, ['exports', 'require', 'module', '__filename', '__dirname'], {
            filename: __filename + '.engine-side',
            importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
          })(late.exports, require, late, __filename, __dirname);
          module.exports = late.exports;`,
      }));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await bundleProvider(resolve(process.argv[2] ?? 'dist/bundle/provider.cjs'));
}
