/** What happened, one line of JSON each. Messages come from below without secrets; nothing else of a pool is logged. */
import pino from 'pino';
import type { Logger } from 'pino';
import type { RunEvent } from '../engine';
import type { AgentEvent } from './events';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
}

export function openLog({ level, write, nowMs }: LogOptions): Logger {
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date(nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
}

export function logEvent(log: Logger, event: AgentEvent): void {
  const { kind, ...details } = event;
  if (event.kind === 'run-event') {
    const { job, pool } = event;
    logRunEvent(log, event.event, { pool, job: job.name });
  } else log[levels[event.kind]](summaryOf({ kind, ...details } as AgentEvent), words[event.kind]);
}

type Loud = Exclude<AgentEvent['kind'], 'run-event'>;

const levels: Readonly<Record<Loud, LogLevel>> = {
  started: 'info',
  reloaded: 'info',
  'reload-failed': 'error',
  'pool-up': 'info',
  'pool-down': 'warn',
  'job-found': 'info',
  'job-changed': 'info',
  'job-gone': 'info',
  'job-unreadable': 'error',
  skipped: 'info',
  'run-starting': 'info',
  'run-ended': 'info',
  'run-failed': 'error',
  'violation-began': 'error',
  'violation-ended': 'info',
  'notification-failed': 'error',
  'memory-lost': 'warn',
  stopping: 'info',
  stopped: 'info',
};

const words: Readonly<Record<Loud, string>> = {
  started: 'the agent runs',
  reloaded: 'the pools file was read anew',
  'reload-failed': 'the pools file cannot be used; the former one stays in use',
  'pool-up': 'pool answers',
  'pool-down': 'pool does not answer',
  'job-found': 'job found',
  'job-changed': 'job changed',
  'job-gone': 'job gone',
  'job-unreadable': 'job cannot be read, and is not run',
  skipped: 'start put off',
  'run-starting': 'run starts',
  'run-ended': 'run ended',
  'run-failed': 'run failed',
  'violation-began': 'RPO violated: the newest recovery point is too old',
  'violation-ended': 'RPO kept again',
  'notification-failed': 'a notification could not be delivered',
  'memory-lost': 'history cannot be kept; nothing but history depends on it',
  stopping: 'the agent is stopping',
  stopped: 'the agent has stopped',
};

function summaryOf(event: AgentEvent): Record<string, unknown> {
  const { kind, ...rest } = event;
  if (event.kind !== 'run-ended') return { event: kind, ...rest };
  const { pool, job, outcome, report } = event;
  const vms = report.vms.map(({ vm, outcome: of, durationMs, disks }) => ({
    uuid: vm.uuid,
    name: vm.name,
    outcome: of.kind,
    ...(of.kind === 'replicated' ? { copy: of.copyKind, point: of.point.uuid } : { error: of.error }),
    durationMs,
    readBytes: disks.reduce((sum, { readBytes }) => sum + readBytes, 0),
    sentBytes: disks.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
  }));
  const { run, durationMs, nice } = report;
  return { event: kind, pool, job, run, outcome, durationMs, ...(nice === null ? {} : { nice }), vms };
}

/** Of a run's inside only what somebody has to know; every step is for `debug`, bytes on the way for nobody. */
function logRunEvent(
  log: Logger,
  event: RunEvent,
  of: { readonly pool: string; readonly job: string },
): void {
  switch (event.kind) {
    case 'disk-progress':
      return;
    case 'warning':
      log.warn({ event: event.kind, ...of, vm: event.vm }, event.text);
      return;
    case 'selection-warning':
    case 'nice-blind':
      log.warn({ event: event.kind, ...of }, event.text);
      return;
    case 'nice-paced':
      log.info({ ...of, ...event, event: event.kind }, 'how fast bytes may move, by how busy the hosts are');
      return;
    case 'attempt-failed': {
      const { vm, attempt, error, retryInMs } = event;
      log.warn({ event: event.kind, ...of, vm, attempt, error, retryInMs }, 'attempt failed');
      return;
    }
    case 'planned':
      log.debug({ event: event.kind, ...of, vm: event.vm, attempt: event.attempt, plan: event.plan.kind });
      return;
    default:
      log.debug({ ...of, ...event, event: event.kind });
  }
}
