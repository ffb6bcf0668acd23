/** Packages that ship ES modules only: jest runs CommonJS, so they are transformed like our own sources. */
const esModules = ['xen-api', '@vates', '@xen-orchestra', 'p-queue', 'p-timeout'];

module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/cdktf.out/'],
  // Commands are loaded by dynamic import, which TypeScript wants to be written with the extension of the output.
  moduleNameMapper: { '^(\\./commands/[\\w-]+|.*/agent/main)\\.js$': '$1' },
  transform: {
    '^.+\\.(ts|mjs|js)$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript', decorators: true }, target: 'es2022' },
        module: { type: 'commonjs' },
      },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esModules.join('|')})/)`],
  // Most tests wait for other processes; the default leaves one core of two idle.
  maxWorkers: '100%',
  testTimeout: 240_000,
};
