import { randomUUID } from 'node:crypto';
import { homedir, hostname } from 'node:os';
import { DiagnosticError, UNKNOWN, describe, error } from '../framework';
import type { Provider, ValueObject } from '../framework';
import type { Log } from '../plugin/log';
import { Connections } from './connections';
import type { EngineSide } from './connections';
import { jobResource } from './job/resource';
import { replicasDataSource } from './replicas/data-source';
import { seedResource } from './seed/resource';
import type { Session } from './session';
import { notEmpty, oneOf } from './validators';

/** Where the process is, as inputs. */
export interface Surroundings {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  readonly now: () => number;
  readonly newId: () => string;
  /** Who works here, for locks. */
  readonly who: string;
  readonly log: Log;
  readonly loadEngineSide: () => Promise<EngineSide>;
}

export function surroundings(log: Log, loadEngineSide: Surroundings['loadEngineSide']): Surroundings {
  return {
    cwd: process.cwd(),
    env: process.env,
    home: homedir(),
    now: () => Date.now(),
    newId: randomUUID,
    who: `the Terraform provider on ${hostname()}, process ${String(process.pid)}`,
    log,
    loadEngineSide,
  };
}

/** The provider of replication jobs. */
export function xenreplProvider(around: Surroundings): Provider<Session> {
  return {
    name: 'xenrepl',
    schema: {
      version: 0,
      description:
        'Replication of virtual machines between XenServer and XCP-ng pools. Pools and credentials stand in a pools file, ' +
        'never in the Terraform configuration.',
      attributes: {
        pools_file: {
          type: 'string',
          optional: true,
          validate: [notEmpty],
          description:
            'Path of the pools file. Default: `XENREPL_POOLS_FILE`, else the nearest `xenrepl.yaml` upwards from the ' +
            'working directory, else `~/.config/xenrepl/pools.yaml`.',
        },
        on_unreachable: {
          type: 'string',
          optional: true,
          validate: [oneOf('fail', 'warn')],
          description:
            'What happens where a target pool does not answer: `fail` (default), or `warn`: resources keep their state ' +
            'and data sources say `reachable = false`.',
        },
      },
    },
    resources: { xenrepl_job: jobResource, xenrepl_seed: seedResource },
    dataSources: { xenrepl_replicas: replicasDataSource },
    configure: (config) => configure(config, around),
    close: async ({ connections }) => connections?.close(),
  };
}

async function configure(config: ValueObject, around: Surroundings): Promise<Session> {
  const engine = await around.loadEngineSide();
  const onUnreachable = config['on_unreachable'] === 'warn' ? 'warn' : 'fail';
  const common = { engine, onUnreachable, who: around.who, newId: around.newId, cwd: around.cwd } as const;
  const wanted = config['pools_file'] ?? null;
  if (wanted === UNKNOWN) return { ...common, connections: null };
  const path = typeof wanted === 'string' ? wanted : engine.findPoolsFile(around);
  if (path === null) {
    throw new DiagnosticError(
      error(
        'No Pools File',
        'The pools and their credentials stand in a file of their own. Write one (see the documentation of the provider), ' +
          'then set pools_file or XENREPL_POOLS_FILE to its path, or name it xenrepl.yaml in the working directory or ' +
          'above, or ~/.config/xenrepl/pools.yaml.',
        ['pools_file'],
      ),
    );
  }
  try {
    const file = engine.loadPoolsFile(path);
    return { ...common, connections: new Connections(engine, file, around.log, around.now) };
  } catch (failure) {
    throw new DiagnosticError(error('Unable to Load Pools File', describe(failure), ['pools_file']));
  }
}
