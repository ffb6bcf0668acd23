/**
 * The import rules of the architecture, each with its reason. A part may import only what stands in its row;
 * `npm run check:imports` prints the reason when somebody crosses a border.
 */
const rows = [
  [
    'lib/planner',
    [],
    'the planner decides over plain data: an import would let I/O, clocks or a protocol into decisions',
  ],
  [
    'lib/vhd',
    [],
    'the VHD codec is pure bytes: it must stay usable over any transport and testable without one',
  ],
  [
    'lib/schedule',
    ['lib/planner'],
    'the agent keeps schedules and the command line tells of them: both read the same calendar and memory',
  ],
  ['lib/nbd', [], 'NBD speaks a socket protocol and knows nothing of pools'],
  [
    'lib/pools',
    ['lib/xapi'],
    'the pools file says where pools are and how to trust them; it takes no decisions',
  ],
  ['lib/xapi', [], 'lib/xapi speaks to one pool; what to say to it is the business of the engine'],
  [
    'lib/engine',
    ['lib/planner', 'lib/xapi', 'lib/vhd', 'lib/nbd'],
    'the engine carries out plans; a door importing back would make a cycle',
  ],
  [
    'lib/provider',
    ['lib/engine', 'lib/planner', 'lib/xapi', 'lib/pools'],
    'a door never imports another door',
  ],
  [
    'lib/agent',
    ['lib/engine', 'lib/planner', 'lib/xapi', 'lib/pools', 'lib/schedule'],
    'a door never imports another door',
  ],
  [
    'lib/cli',
    ['lib/engine', 'lib/planner', 'lib/xapi', 'lib/pools', 'lib/schedule', 'lib/simulator', 'lib/delivery'],
    'a door never imports another door (the simulator is started by `xenrepl simulate`)',
  ],
  [
    'lib/delivery',
    [],
    'delivery is files and hashes for Terraform: it must load in constructs and CLI alike, without cdktf or a pool',
  ],
  [
    'lib/simulator',
    ['lib/xapi'],
    'the simulator shares types with lib/xapi and never code under test: a common mistake would hide itself',
  ],
];

const forbidden = rows.map(([from, allowed, reason]) => ({
  name: `only-allowed-imports-of-${from.replace('/', '-')}`,
  comment: reason,
  severity: 'error',
  from: { path: `^${from}/` },
  to: {
    path: '^(lib|constructs|main\\.ts)',
    pathNot: `^(${[from, ...allowed].join('|')})/`,
  },
}));

module.exports = {
  forbidden: [
    ...forbidden,
    {
      name: 'simulator-shares-types-only',
      comment:
        'the simulator may use the types of lib/xapi, never its code: both ends would share one mistake',
      severity: 'error',
      from: { path: '^lib/simulator/' },
      to: { path: '^lib/xapi/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'pure-parts-have-no-io',
      comment: 'planner and VHD codec are pure: node modules bring I/O, clocks and randomness',
      severity: 'error',
      from: { path: '^lib/(planner|vhd)/' },
      to: { dependencyTypes: ['core', 'npm'] },
    },
    {
      name: 'cdktf-only-in-constructs',
      comment:
        'cdktf is archived; keeping it in constructs/ alone keeps the door to cdktn open and the CLI light',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: 'node_modules/(cdktf|constructs|@cdktf)/' },
    },
    {
      name: 'constructs-know-no-engine',
      comment:
        'constructs say what the user wants; synth must not be able to touch a pool (delivery only writes files)',
      severity: 'error',
      from: { path: '^constructs/' },
      to: { path: '^lib/', pathNot: '^lib/delivery/' },
    },
    {
      name: 'main-imports-the-package-by-name',
      comment: 'main.ts is an example that users copy: it must read as their own file would',
      severity: 'error',
      from: { path: '^main\\.ts$' },
      to: { path: '^(lib|constructs)/' },
    },
    {
      name: 'no-cycles',
      comment: 'a cycle hides which part is the lower one',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    // No tsConfig here: its base folder would make the npm package "constructs" resolve to our folder of that name.
  },
};
