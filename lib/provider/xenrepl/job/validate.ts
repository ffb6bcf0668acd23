/** What needs several arguments at once. Unknown ones may still turn out well. */
import { Cron } from 'croner';
import { jobDefaults } from '../../../planner/job';
import { UNKNOWN, error, isArray, isObject, show, warning } from '../../framework';
import type { Diagnostic, Path, Value, ValueObject } from '../../framework';
import { formatInterval, parseInterval } from '../interval';
import { cron as cronProblem, timeZone as timeZoneProblem } from '../validators';

export function validateJob(config: ValueObject): readonly Diagnostic[] {
  return [
    ...validateSelection(config),
    ...validateSchedule(config),
    ...validatePace(config),
    ...validateWindows(config),
    ...validateSnapshot(config),
    ...validateTransfer(config),
    ...validateRetention(config),
  ];
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

/** Whether the schedule can keep the promise, and the jitter the schedule. */
function validatePace(config: ValueObject): readonly Diagnostic[] {
  const schedule = config['schedule'] ?? null;
  const gapMs = isObject(schedule) ? shortestGapMs(schedule) : null;
  if (gapMs === null) return [];
  const pace = `runs start every ${formatInterval(gapMs)}${isCron(schedule) ? ' at best' : ''}`;
  const rpoMs = lengthMs(config['rpo']);
  const jitterMs = lengthMs(config['jitter']);
  return [
    ...(rpoMs !== null && rpoMs < gapMs
      ? [
          error(
            'RPO Cannot Be Kept',
            `rpo is ${show(config['rpo'])}, but ${pace}: between two of them the newest recovery point is older than that. ` +
              'Let the job run more often, or promise less.',
            ['rpo'],
          ),
        ]
      : []),
    ...(jitterMs !== null && jitterMs >= gapMs
      ? [
          error(
            'Jitter Longer Than the Schedule',
            `jitter is ${show(config['jitter'])}, but ${pace}: a start could be put off beyond the next one.`,
            ['jitter'],
          ),
        ]
      : []),
  ];
}

function isCron(schedule: Value): boolean {
  return isObject(schedule) && typeof schedule['cron'] === 'string';
}

/** Between two starts; null where it is not known, or wrong and told elsewhere. */
function shortestGapMs(schedule: ValueObject): number | null {
  const { every = null, cron = null, time_zone: zone = null } = schedule;
  if (typeof every === 'string') return parseInterval(every);
  const timeZone = zone ?? 'UTC';
  if (typeof cron !== 'string' || typeof timeZone !== 'string') return null;
  if (cronProblem(cron) !== null || timeZoneProblem(timeZone) !== null) return null;
  // From a fixed day on, so that the verdict does not depend on the day of the plan.
  const starts = new Cron(cron, { paused: true, timezone: timeZone }).nextRuns(40, '2024-01-01T00:00:00');
  const gaps = starts.slice(1).map((start, index) => start.getTime() - (starts[index]?.getTime() ?? 0));
  return gaps.length === 0 ? null : Math.min(...gaps);
}

function lengthMs(value: Value | undefined): number | null {
  return typeof value === 'string' ? parseInterval(value) : null;
}

function validateWindows(config: ValueObject): readonly Diagnostic[] {
  const { blackouts = null, limits = null } = config;
  const windows = isObject(limits) ? (limits['windows'] ?? null) : null;
  return [...emptyWindows(blackouts, ['blackouts']), ...emptyWindows(windows, ['limits', 'windows'])];
}

function emptyWindows(windows: Value, path: Path): readonly Diagnostic[] {
  if (!isArray(windows)) return [];
  return windows.flatMap((window, index) => {
    if (!isObject(window) || typeof window['from'] !== 'string') return [];
    const place = [...path, index];
    if (window['from'] === '24:00') {
      return [
        error('Invalid Window', 'from may be "00:00", but only to may be "24:00".', [...place, 'from']),
      ];
    }
    if (window['from'] !== window['to']) return [];
    return [
      error(
        'Ambiguous Window',
        `from and to are both ${window['from']}: that may mean never or always. Leave the window out, or write "00:00" and ` +
          '"24:00" for the whole day.',
        place,
      ),
    ];
  });
}

/** A warning only: a VM that does not run is at rest in any mode. */
function validateSnapshot(config: ValueObject): readonly Diagnostic[] {
  const snapshot = config['snapshot'] ?? null;
  if (!isObject(snapshot) || snapshot['mode'] !== 'memory') return [];
  return [
    warning(
      'Running VMs Will Be Refused',
      'snapshot.mode is "memory", and XAPI cannot make a halted replica a suspended one: every run of a VM that is running is ' +
        'refused. Choose "disk", "quiesce" or "offline".',
      ['snapshot', 'mode'],
    ),
  ];
}

function validateTransfer(config: ValueObject): readonly Diagnostic[] {
  const transfer = config['transfer'] ?? null;
  if (!isObject(transfer) || transfer['method'] !== 'export') return [];
  const tracking: readonly (readonly [string, string])[] = [
    ['drop_snapshot_data', 'an export of what changed is made of the data of the snapshot before'],
    ['enable_cbt', 'an export does not use changed-block tracking'],
  ];
  return tracking
    .filter(([name]) => transfer[name] === true)
    .map(([name, because]) =>
      error(
        'Argument Does Not Fit the Method',
        `${name} cannot be true with method = "export": ${because}.`,
        ['transfer', name],
      ),
    );
}

const tiers = ['latest', 'hourly', 'daily', 'weekly', 'monthly'] as const;

/** Besides its recovery points a chain holds the live disk's layer, and needs room for that of the next run. */
const layersBesidesPoints = 2;

/** Each recovery point is a layer: more of them than there is room for would put off every run for ever. */
function validateRetention(config: ValueObject): readonly Diagnostic[] {
  const retention = config['retention'] ?? null;
  const depth = config['max_chain_depth'] ?? jobDefaults.maxChainDepth;
  if (!isObject(retention) || typeof depth !== 'number') return [];
  const pointsMax = depth - layersBesidesPoints;
  const { latest = null } = retention;
  if (typeof latest === 'number' && latest > pointsMax) {
    return [
      error(
        'Retention Outgrows the Chain',
        `latest keeps ${String(latest)} recovery points, each a layer of its disks' chains. With max_chain_depth = ` +
          `${String(depth)} there is room for ${String(Math.max(pointsMax, 0))}: every run after that would be put off. Keep fewer.`,
        ['retention', 'latest'],
      ),
    ];
  }
  const counts = tiers.map((name) => retention[name] ?? 0);
  const total = counts.reduce<number>((sum, count) => sum + (typeof count === 'number' ? count : 0), 0);
  if (total <= pointsMax) return [];
  return [
    warning(
      'Retention May Outgrow the Chain',
      `retention keeps up to ${String(total)} recovery points per replica, each a layer of its disks' chains, and with ` +
        `max_chain_depth = ${String(depth)} there is room for ${String(pointsMax)}: where the tiers do not overlap, runs are put ` +
        'off in the end. Keep fewer.',
      ['retention'],
    ),
  ];
}
