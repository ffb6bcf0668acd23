/** The arguments of a job that hold several values: what each may be, and what it is by default. */
import { jobDefaults, keepLatest } from '../../../planner/job';
import { show } from '../../framework';
import type { Attribute, Attributes, Value } from '../../framework';
import { parseInterval } from '../interval';
import * as check from '../validators';

const points = 'one must stay, and each one adds a layer to the chain of every disk';
const text = { type: 'string' } as const;

/** `60m` and `1h` are one length. */
export function sameInterval(left: Value, right: Value): boolean {
  return parseInterval(show(left)) === parseInterval(show(right));
}

function fallback(value: Value): Pick<Attribute, 'optional' | 'computed' | 'default'> {
  return { optional: true, computed: true, default: value };
}

function timeZone(description: string): Attribute {
  return { ...text, ...fallback('UTC'), validate: [check.timeZone], description };
}

export const schedule: Attribute = {
  type: {
    nesting: 'single',
    attributes: {
      every: {
        ...text,
        optional: true,
        // Seconds would promise more than an agent keeps that looks once a minute.
        validate: [check.interval(60_000, '"15m", "2h" or "1d"')],
        sameAs: sameInterval,
        description: 'At a steady pace: minutes, hours or days, like `15m`, `2h` or `1d`.',
      },
      cron: {
        ...text,
        optional: true,
        validate: [check.cron],
        description:
          'At the times of a cron expression of five fields: minute, hour, day of month, month, day of week.',
      },
      time_zone: timeZone('IANA time zone of the cron expression. Default: `UTC`.'),
    },
  },
  optional: true,
  description:
    'When the agent runs the job by itself; one of `every` and `cron`. Without it the job runs only when asked.',
};

const kept = keepLatest(3);

function tier(name: string): Attribute {
  return {
    type: 'number',
    ...fallback(0),
    validate: [check.wholeNumber(0, 100, 'each one adds a layer to the chain of every disk')],
    description: `Recovery points kept besides: the newest of each of the last so many ${name} in which there is one. Default: 0.`,
  };
}

export const retention: Attribute = {
  type: {
    nesting: 'single',
    attributes: {
      latest: {
        type: 'number',
        ...fallback(kept.latest),
        validate: [check.wholeNumber(1, 100, points)],
        description: `Newest recovery points kept per replica, 1 to 100. Default: ${String(kept.latest)}.`,
      },
      hourly: tier('hours'),
      daily: tier('days'),
      weekly: tier('weeks (from Monday)'),
      monthly: tier('months'),
      time_zone: timeZone('IANA time zone in which days, weeks and months begin. Default: `UTC`.'),
      source_latest: {
        type: 'number',
        ...fallback(kept.sourceLatest),
        validate: [check.wholeNumber(1, 100, 'the next delta needs the newest snapshot')],
        description: 'Snapshots kept per VM on the source, besides the newest base, 1 to 100. Default: 1.',
      },
    },
  },
  ...fallback({
    latest: kept.latest,
    hourly: kept.hourly,
    daily: kept.daily,
    weekly: kept.weekly,
    monthly: kept.monthly,
    time_zone: kept.timeZone,
    source_latest: kept.sourceLatest,
  }),
  description: 'Which recovery points are kept. The newest one that a delta can build on is never destroyed.',
};

const windowAttributes: Attributes = {
  days: {
    type: ['list', 'string'],
    ...fallback([]),
    validate: [check.weekdays],
    description:
      'Days on which it begins: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`. Default: every day.',
  },
  from: {
    ...text,
    required: true,
    validate: [check.timeOfDay],
    description: 'Time of day at which it begins, like `22:00`.',
  },
  to: {
    ...text,
    required: true,
    validate: [check.timeOfDay],
    description:
      'Time of day at which it is over, like `06:00`; on the next day where that is earlier. `24:00` is the end of the day.',
  },
  time_zone: timeZone('IANA time zone of both times. Default: `UTC`.'),
};

export const blackouts: Attribute = {
  type: { nesting: 'list', attributes: windowAttributes },
  optional: true,
  description: 'Times in which the agent starts no run. What is running goes on.',
};

export const snapshot: Attribute = {
  type: {
    nesting: 'single',
    attributes: {
      mode: {
        ...text,
        ...fallback(jobDefaults.snapshot.mode),
        validate: [check.oneOf('disk', 'quiesce', 'memory', 'offline')],
        description:
          '`disk`: as after a power cut; `quiesce`: the guest is asked to write down what it holds first; `offline`: the guest ' +
          'is shut down for the moment of the snapshot; `memory`: always refused for a running VM, since its memory cannot be ' +
          'carried. Default: `disk`.',
      },
      group_skew: {
        ...text,
        optional: true,
        validate: [check.interval(1, '"5s"')],
        sameAs: sameInterval,
        description:
          'All VMs of a run are snapshotted together, at most this far apart, like `5s`. Default: each when its turn comes.',
      },
    },
  },
  ...fallback({ mode: jobDefaults.snapshot.mode, group_skew: null }),
  description: 'How the source snapshot is taken.',
};

export const transfer: Attribute = {
  type: {
    nesting: 'single',
    attributes: {
      method: {
        ...text,
        ...fallback(jobDefaults.transfer.method),
        validate: [check.oneOf('auto', 'export', 'nbd')],
        description:
          '`auto` takes NBD with changed-block tracking where both are there, else an export. Default: `auto`.',
      },
      enable_cbt: {
        type: 'bool',
        ...fallback(jobDefaults.transfer.enableCbt),
        description:
          'Whether the job may turn on changed-block tracking on the disks it protects. Default: `false`.',
      },
      drop_snapshot_data: {
        type: 'bool',
        ...fallback(jobDefaults.transfer.dropSnapshotData),
        description:
          'Whether the data of the source snapshot goes once it is committed: its list of changed blocks stays, and takes no ' +
          'space. Default: `false`.',
      },
      verify: {
        ...text,
        ...fallback(jobDefaults.transfer.verify),
        validate: [check.oneOf('none', 'sampled', 'full')],
        description:
          'What each run reads back of its recovery point before it is called good. Default: `none`.',
      },
    },
  },
  ...fallback({
    method: jobDefaults.transfer.method,
    enable_cbt: jobDefaults.transfer.enableCbt,
    drop_snapshot_data: jobDefaults.transfer.dropSnapshotData,
    verify: jobDefaults.transfer.verify,
  }),
  description: 'How the bytes travel.',
};

const rate: Attribute = {
  type: 'number',
  optional: true,
  validate: [check.wholeNumber(1, 2 ** 40, 'less than a byte per second never ends')],
  description: 'Bytes per second read from the source, all disks of a run together. Default: no limit.',
};

function streams(fallbackCount: number, what: string): Attribute {
  return {
    type: 'number',
    ...fallback(fallbackCount),
    validate: [check.wholeNumber(1, 64, 'each takes a connection, and a server lets few of them be fast')],
    description: `Disks read or written at once ${what}, 1 to 64. Default: ${String(fallbackCount)}.`,
  };
}

export const limits: Attribute = {
  type: {
    nesting: 'single',
    attributes: {
      bytes_per_second: rate,
      windows: {
        type: {
          nesting: 'list',
          attributes: {
            ...windowAttributes,
            bytes_per_second: { ...rate, description: 'Limit in this window. Default: no limit.' },
          },
        },
        ...fallback([]),
        description: 'Times in which another limit counts; the first that matches.',
      },
      nice: {
        type: 'bool',
        ...fallback(jobDefaults.limits.nice),
        description:
          'Whether a run gives way, down to a tenth of its rate, while the control domain of a source host that it reads from ' +
          'is busy (load average above 1 per vCPU). Default: `false`.',
      },
      transfers_per_pool: streams(jobDefaults.limits.transfersPerPool, 'of one pool'),
      transfers_per_sr: streams(jobDefaults.limits.transfersPerSr, 'of one storage repository'),
    },
  },
  ...fallback({
    bytes_per_second: jobDefaults.limits.bytesPerSecond,
    windows: [],
    nice: jobDefaults.limits.nice,
    transfers_per_pool: jobDefaults.limits.transfersPerPool,
    transfers_per_sr: jobDefaults.limits.transfersPerSr,
  }),
  description: 'What a run must not exceed; all its disks share it.',
};
