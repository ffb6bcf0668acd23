import { error } from '../../framework';
import type { Diagnostic, Schema, ValueObject } from '../../framework';
import { sameButForCase } from '../spelling';
import * as check from '../validators';

const text = { type: 'string' } as const;
const computed = { type: 'string', computed: true } as const;
const uuid = { ...text, required: true, validate: [check.uuid], sameAs: sameButForCase } as const;

export const seedSchema: Schema = {
  version: 0,
  description:
    'A replica that was carried by hand: makes a VM of the target pool the replica of a source snapshot, so that the first ' +
    'run of the job sends a delta. Once runs have gone on with it, it only says that this was done.',
  attributes: {
    target_pool: {
      ...text,
      required: true,
      validate: [check.notEmpty],
      description: 'Pool the VM was brought to, by its name in the pools file.',
    },
    job_id: {
      ...text,
      required: true,
      requiresReplace: true,
      validate: [check.jobId],
      sameAs: sameButForCase,
      description: 'Job that goes on from there; it must be defined on the target pool.',
    },
    source_snapshot_uuid: {
      ...uuid,
      description:
        'Snapshot on the source that the VM was made of, by uuid. To be kept until a run has made a newer one.',
    },
    target_vm_uuid: {
      ...uuid,
      requiresReplace: true,
      description:
        'The VM on the target, by uuid; `xenrepl seed import` prints it. Halted, and never started.',
    },
    verify: {
      ...text,
      optional: true,
      computed: true,
      default: 'sampled',
      validate: [check.oneOf('none', 'sampled', 'full')],
      description:
        'How the content is compared when it is attached: `full` reads both sides from end to end, `sampled` the first data ' +
        'of each disk, `none` trusts you. Default: `sampled`.',
    },
    digests: {
      ...text,
      optional: true,
      validate: [check.notEmpty],
      description:
        'Folder that `xenrepl seed export` wrote, with its digests: the target is compared with these, and no disk of the ' +
        'source is read. Needed only until the seed is attached. Relative paths start where Terraform runs.',
    },
    repair: {
      type: 'bool',
      optional: true,
      computed: true,
      default: false,
      description:
        'Whether blocks that differ are sent when it is attached, which compares in full. Default: `false`: a difference is an error.',
    },
    id: { ...computed, description: 'Uuid of the VM on the target.' },
    target_pool_uuid: { ...computed, description: 'Uuid of the target pool.' },
    target_sr_uuid: { ...computed, description: 'Uuid of the storage repository of its disks.' },
    source_vm_uuid: { ...computed, description: 'Uuid of the VM that it is the replica of.' },
    recovery_point_uuid: {
      ...computed,
      description:
        'Uuid of the recovery point that was made of it; kept also after retention removed that one. Null after an import where it was gone.',
    },
  },
};

export function validateSeed({ verify, repair }: ValueObject): readonly Diagnostic[] {
  if (repair !== true || (verify !== 'none' && verify !== 'sampled')) return [];
  return [
    error(
      'Argument Does Not Fit the Other',
      `verify cannot be "${verify}" where repair is true: what was not read cannot be repaired. Leave verify out.`,
      ['verify'],
    ),
  ];
}
