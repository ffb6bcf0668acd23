/** The agent as a service of systemd that may do nothing but what it is for: talk to pools and keep its history. */
import { basename } from 'node:path';

export interface UnitParts {
  readonly node: string;
  readonly program: string;
  readonly poolsFile: string;
  /** Password and authority files that the pools file names: they lie beside it for the service. */
  readonly credentials: readonly string[];
  readonly config: string | null;
  readonly listen: string | null;
}

/** Pure. Paths are absolute. @throws Error where a path cannot stand in a unit, or two files would get one name */
export function systemdUnit(parts: UnitParts): string {
  const { node, program, poolsFile, credentials, config, listen } = parts;
  const files = new Map([['pools.yaml', poolsFile]]);
  for (const path of [...(config === null ? [] : [config]), ...credentials]) {
    const name = path === config ? 'agent.yaml' : basename(path);
    if (files.has(name)) throw new Error(`Two files of the service would be called ${name}: rename one`);
    files.set(name, path);
  }
  const command = [
    quoted(node),
    quoted(program),
    'agent',
    '--pools-file ${CREDENTIALS_DIRECTORY}/pools.yaml',
    ...(config === null ? [] : ['--config ${CREDENTIALS_DIRECTORY}/agent.yaml']),
    ...(listen === null ? [] : [`--listen ${quoted(listen)}`]),
  ].join(' ');
  const loads = [...files].map(([name, path]) => `LoadCredential=${plain(name)}:${plain(path)}`);
  return [...head, `ExecStart=${command}`, ...behaviour, ...loads, ...confinement, ...foot].join('\n') + '\n';
}

const head = [
  '# Written by xenrepl agent install --systemd.',
  '[Unit]',
  'Description=xenrepl agent: replicates virtual machines on schedule',
  'Documentation=https://www.npmjs.com/package/cdktf-xen-replication',
  'Wants=network-online.target',
  'After=network-online.target time-sync.target',
  '',
  '[Service]',
  'Type=exec',
];

const behaviour = [
  'ExecReload=kill -HUP $MAINPID',
  'Restart=always',
  'RestartSec=5s',
  '# The agent ends within 10 s; what a run has copied is gone on with.',
  'TimeoutStopSec=15s',
  '',
  '# A user that exists only while the service runs, a folder for its history, and one for what makes deltas smaller.',
  'DynamicUser=yes',
  'StateDirectory=xenrepl',
  'StateDirectoryMode=0700',
  'CacheDirectory=xenrepl',
  'CacheDirectoryMode=0700',
  'UMask=0077',
  '',
  '# Read by root, handed to the service alone; a changed file is seen after a restart.',
];

const confinement = [
  '',
  'CapabilityBoundingSet=',
  'AmbientCapabilities=',
  'NoNewPrivileges=yes',
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'PrivateUsers=yes',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectControlGroups=yes',
  'ProtectProc=invisible',
  'ProcSubset=pid',
  'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'RemoveIPC=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallFilter=~@privileged @resources',
  'SystemCallErrorNumber=EPERM',
  '# Not MemoryDenyWriteExecute: Node compiles JavaScript to machine code.',
];

const foot = ['', '[Install]', 'WantedBy=multi-user.target'];

/** For ExecStart, where systemd reads quotes, `%` and `$`. */
function quoted(text: string): string {
  refuseLines(text);
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(text)
    ? escaped
    : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** For settings that are a path and know no quotes. */
function plain(text: string): string {
  refuseLines(text);
  if (/[\s:]/.test(text)) throw new Error(`A unit cannot name "${text}": no blank and no colon may be in it`);
  return text.replaceAll('%', '%%');
}

function refuseLines(text: string): void {
  if (/\p{Cc}/u.test(text)) throw new Error('A path with a control character cannot stand in a unit');
}
