import { UNKNOWN, error, isArray, isObject, show } from '../../framework';
import type { Attribute, Diagnostic, Schema, Value, ValueObject } from '../../framework';
import { parseInterval } from '../interval';
import { sameButForCase } from '../spelling';
import * as check from '../validators';

const streams = 'each VM at once takes a stream from the source and one to the target';
const points = 'one must stay, and each one adds a layer to the chain of every disk';

const text = { type: 'string' } as const;
const computed = { type: 'string', computed: true } as const;

function choice(fallback: string, other: string, description: string): Attribute {
  return {
    ...text,
    optional: true,
    computed: true,
    default: fallback,
    validate: [check.oneOf(fallback, other)],
    description: `${description} Default: \`${fallback}\`.`,
  };
}

const schedule: Attribute = {
  type: {
    nesting: 'single',
    attributes: {
      every: {
        ...text,
        optional: true,
        validate: [check.interval],
        sameAs: (left, right) => parseInterval(show(left)) === parseInterval(show(right)),
        description: 'At a steady pace: minutes, hours or days, like `15m`, `2h` or `1d`.',
      },
      cron: {
        ...text,
        optional: true,
        validate: [check.cron],
        description:
          'At the times of a cron expression of five fields: minute, hour, day of month, month, day of week.',
      },
      time_zone: {
        ...text,
        optional: true,
        computed: true,
        default: 'UTC',
        validate: [check.timeZone],
        description: 'IANA time zone of the cron expression. Default: `UTC`.',
      },
    },
  },
  optional: true,
  description:
    'When the agent runs the job by itself; one of `every` and `cron`. Without it the job runs only when asked.',
};

const retention: Attribute = {
  type: {
    nesting: 'single',
    attributes: {
      latest: {
        type: 'number',
        optional: true,
        computed: true,
        default: 3,
        validate: [check.wholeNumber(1, 100, points)],
        description: 'Recovery points kept per replica, 1 to 100. Default: 3.',
      },
      source_latest: {
        type: 'number',
        optional: true,
        computed: true,
        default: 1,
        validate: [check.wholeNumber(1, 100, 'the next delta needs the newest snapshot')],
        description: 'Snapshots kept per VM on the source, besides the newest base, 1 to 100. Default: 1.',
      },
    },
  },
  optional: true,
  computed: true,
  default: { latest: 3, source_latest: 1 },
  description:
    'How many recovery points are kept. The newest one that a delta can build on is never destroyed.',
};

export const jobSchema: Schema = {
  version: 0,
  description:
    'What to replicate, where to, how often. Creating it writes the definition to the target pool and sends nothing; ' +
    'destroying it keeps the replicas unless told otherwise.',
  attributes: {
    name: {
      ...text,
      required: true,
      validate: [check.notEmpty],
      description:
        'Name of the job. Its identity is made from it once, at creation; it may be changed later.',
    },
    source_pool: {
      ...text,
      required: true,
      validate: [check.notEmpty],
      description: 'Pool the VMs are on, by its name in the pools file.',
    },
    target_pool: {
      ...text,
      required: true,
      validate: [check.notEmpty],
      description:
        'Pool the replicas are kept on, by its name in the pools file. Another pool means another job: the old one is ' +
        'destroyed, its replicas stay.',
    },
    target_sr: {
      ...text,
      required: true,
      validate: [check.notEmpty],
      sameAs: sameButForCase,
      description:
        "Storage repository of the replicas' disks: its uuid, or its name label where that is unique.",
    },
    enabled: {
      type: 'bool',
      optional: true,
      computed: true,
      default: true,
      description: 'Whether the agent runs the job. A disabled job keeps its replicas. Default: `true`.',
    },
    vm_uuids: {
      type: ['list', 'string'],
      optional: true,
      validate: [check.uuids],
      sameAs: sameButForCase,
      description: 'VMs to protect, by uuid. At least one of `vm_uuids` and `vm_tags` must name something.',
    },
    vm_tags: {
      type: ['list', 'string'],
      optional: true,
      validate: [check.noEmptyText],
      description: 'Protects every VM of the source pool that bears one of these tags when a run starts.',
    },
    schedule,
    retention,
    network_map: {
      type: ['map', 'string'],
      optional: true,
      sameAs: sameButForCase,
      description:
        'Network of the target for each network of the source, each by uuid or by name label where that is unique.',
    },
    on_unmapped_network: choice(
      'fail',
      'omit',
      'What happens to a network card whose network `network_map` does not name: `fail` the run of that VM, or `omit` the card.',
    ),
    on_missing_base: choice(
      'fail',
      'full',
      'What happens where recovery points exist, but none that a delta can build on: `fail`, or send everything (`full`).',
    ),
    on_divergence: choice(
      'fail',
      'overwrite',
      "What happens where somebody else wrote to the replica's disks: `fail`, or `overwrite` what they wrote.",
    ),
    concurrency: {
      type: 'number',
      optional: true,
      computed: true,
      default: 2,
      validate: [check.wholeNumber(1, 16, streams)],
      description: 'VMs replicated at once, 1 to 16. Default: 2.',
    },
    delete_replicas_on_destroy: {
      type: 'bool',
      optional: true,
      computed: true,
      default: false,
      description:
        'Destroys the replicas with their recovery points when the job is destroyed. Default: `false`, they stay, and a ' +
        'job with the same identity goes on with them.',
    },
    job_id: {
      ...text,
      optional: true,
      computed: true,
      requiresReplace: true,
      validate: [check.jobId],
      sameAs: sameButForCase,
      description:
        'Identity of the job on the target pool, fixed at creation. Default: made from the target pool and the name.',
    },
    id: { ...computed, description: 'The job id.' },
    schedule_id: { ...computed, description: "Identity of the job's schedule." },
    source_pool_uuid: {
      ...computed,
      description: 'Uuid of the source pool; null where it did not answer when the job was created.',
    },
    target_pool_uuid: { ...computed, description: 'Uuid of the target pool.' },
    target_sr_uuid: { ...computed, description: 'Uuid of the storage repository of the replicas.' },
    revision: {
      type: 'number',
      computed: true,
      description: 'Revision of the definition on the target pool; grows with every change.',
    },
  },
};

/** What needs several arguments at once. Unknown ones may still turn out well. */
export function validateJob(config: ValueObject): readonly Diagnostic[] {
  return [...validateSelection(config), ...validateSchedule(config)];
}

function validateSelection(config: ValueObject): readonly Diagnostic[] {
  const lists: readonly Value[] = [config['vm_uuids'] ?? null, config['vm_tags'] ?? null];
  const named = lists.some((list) => list === UNKNOWN || (isArray(list) && list.length > 0));
  if (named) return [];
  return [
    error(
      'No VM Selected',
      'vm_uuids or vm_tags must name at least one VM or tag: a job without VMs protects nothing.',
      ['vm_uuids'],
    ),
  ];
}

function validateSchedule(config: ValueObject): readonly Diagnostic[] {
  const found = config['schedule'] ?? null;
  if (!isObject(found)) return [];
  const every = found['every'] ?? null;
  const cron = found['cron'] ?? null;
  const timeZone = found['time_zone'] ?? null;
  if (every === UNKNOWN || cron === UNKNOWN) return [];
  if ((every === null) === (cron === null)) {
    return [
      error(
        'Ambiguous Schedule',
        'schedule must have one of every ("15m", "2h", "1d") and cron ("0 22 * * *"). Leave schedule out for a job that ' +
          'runs only when asked.',
        ['schedule'],
      ),
    ];
  }
  if (every !== null && timeZone !== null && timeZone !== UNKNOWN) {
    return [
      error('Time Zone Without Effect', 'time_zone is for cron only: a steady pace has no time of day.', [
        'schedule',
        'time_zone',
      ]),
    ];
  }
  return [];
}
