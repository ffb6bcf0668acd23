import { jobDefaults } from '../../../planner/job';
import type { Attribute, Schema } from '../../framework';
import { sameButForCase } from '../spelling';
import * as check from '../validators';
import { blackouts, limits, retention, sameInterval, schedule, snapshot, transfer } from './nested';

const streams = 'each VM at once takes a stream from the source and one to the target';
const layers = 'two is a copy and what changed since, and storage refuses chains of more than 30';

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
    initial_copy: choice(
      'auto',
      'seed',
      'How the first copy gets to the target: sent by the first run (`auto`), or carried by hand (`seed`): runs wait for ' +
        'it and never send a full by themselves. See `xenrepl_seed`.',
    ),
    rpo: {
      ...text,
      optional: true,
      validate: [check.interval(60_000, '"1h"')],
      sameAs: sameInterval,
      description:
        'Promise that the newest recovery point is never older than this, like `1h`; not shorter than the schedule allows. ' +
        'Default: no promise.',
    },
    jitter: {
      ...text,
      optional: true,
      validate: [check.interval(1000, '"5m"')],
      sameAs: sameInterval,
      description:
        'Scheduled starts are put off by up to this, by the same time for this job each time, so that jobs do not all start ' +
        'at once. Default: not at all.',
    },
    blackouts,
    snapshot,
    transfer,
    limits,
    max_chain_depth: {
      type: 'number',
      optional: true,
      computed: true,
      default: jobDefaults.maxChainDepth,
      validate: [check.wholeNumber(2, 30, layers)],
      description:
        "Layers that a disk's chain may have, on either side, before a run is put off until storage has merged some, 2 to 30. " +
        `Default: ${String(jobDefaults.maxChainDepth)}.`,
    },
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
    schedule_id: {
      ...text,
      optional: true,
      computed: true,
      validate: [check.jobId],
      sameAs: sameButForCase,
      description:
        "Identity of the job's schedule, kept on every recovery point. Only a job that goes on with Xen Orchestra's " +
        'replicas, or hands its own over, needs to name one. Default: made from the job id.',
    },
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
