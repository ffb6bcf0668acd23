// Adds to package-lock.json the binaries of other platforms that the registry at hand does not serve. npm leaves such
// optional packages out when it writes the lock file, and `npm ci` then refuses that file everywhere. Their versions are
// exact in the packages that name them; on a platform that they are not for, npm never fetches them.
//
//     npm install … && node scripts/complete-lock.mjs
import { readFileSync, writeFileSync } from 'node:fs';

const systems = ['darwin', 'win32', 'freebsd', 'android', 'openharmony', 'linux'];
const processors = {
  arm64: 'arm64',
  aarch64: 'arm64',
  x64: 'x64',
  ia32: 'ia32',
  armv7: 'arm',
  'arm-': 'arm',
  loong64: 'loong64',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
};

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const { packages } = lock;

function entryOf(name, version, parent) {
  const os = systems.find((system) => name.includes(system));
  const cpu = Object.entries(processors).find(([part]) => name.includes(part))?.[1];
  return {
    version,
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(parent.dev === true ? { dev: true } : {}),
    optional: true,
    ...(os === undefined ? {} : { os: [os] }),
  };
}

let added = 0;
for (const [path, info] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(info.optionalDependencies ?? {})) {
    const known = [`${path}/node_modules/${name}`, `node_modules/${name}`].some((place) => place in packages);
    if (known || !/^\d/.test(version)) continue;
    packages[`node_modules/${name}`] = entryOf(name, version, info);
    added += 1;
  }
}

const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
writeFileSync(
  'package-lock.json',
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`,
);
console.log(`${added} packages added`);
