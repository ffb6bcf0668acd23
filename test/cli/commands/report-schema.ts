/** What `--json` promises, written down a second time: a change of the engine's types must not go unnoticed. */
import { z } from 'zod';
import type { RunReport } from '../../../lib/engine';

const copyKind = z.enum(['full', 'delta']);
const count = z.int().min(0);
const uuid = z.uuid();
const object = z.strictObject({ ref: z.string(), uuid, name: z.string() });
const vm = z.strictObject({ uuid, name: z.string() });

export const errorSummary = z.strictObject({
  code: z.string().min(1),
  message: z.string().min(1),
  hint: z.string(),
  retry: z.enum(['now', 'later', 'never']),
});

const outcome = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('replicated'),
    copyKind,
    replica: object,
    point: object,
    sourceSnapshot: object,
    takenAtMs: count,
  }),
  z.strictObject({
    kind: z.enum(['blocked', 'deferred', 'failed', 'cancelled', 'locked']),
    error: errorSummary,
  }),
]);

const disk = z.strictObject({
  device: z.string(),
  copyKind,
  method: z.enum(['export', 'nbd']),
  methodBecause: z.string().min(1),
  changedBytes: count,
  readBytes: count,
  sentBytes: count,
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  verified: z.strictObject({ mode: z.enum(['sampled', 'full']), comparedBytes: count }).nullable(),
});

const vmReport = z.strictObject({
  vm,
  outcome,
  durationMs: count,
  attempts: count,
  disks: z.array(disk),
  warnings: z.array(z.string()),
  notes: z.array(z.string()),
});

const runReport = z.strictObject({
  run: uuid,
  job: z.strictObject({ id: z.string(), name: z.string() }),
  startedAtMs: count,
  durationMs: count,
  ok: z.boolean(),
  warnings: z.array(z.string()),
  nice: z
    .strictObject({
      looks: count,
      highestLoadPerVcpu: z.number().min(0).nullable(),
      heldBackMs: count,
      lowestBytesPerSecond: z.number().positive().nullable(),
    })
    .nullable(),
  vms: z.array(vmReport),
});

/** The last line of `run --json`. */
export const reportLine = runReport.extend({ kind: z.literal('report') });

/** Every other line: an event with the time it was seen. */
export const eventLine = z.looseObject({
  kind: z.enum([
    'run-started',
    'selection-warning',
    'nice-paced',
    'nice-blind',
    'nice-summary',
    'vm-started',
    'lock-waiting',
    'lock-acquired',
    'planned',
    'step-started',
    'step-finished',
    'disk-opened',
    'disk-progress',
    'segment-confirmed',
    'disk-copied',
    'warning',
    'attempt-failed',
    'vm-finished',
    'run-finished',
  ]),
  atMs: count,
});

export const errorLine = z.strictObject({
  kind: z.literal('error'),
  code: z.string().min(1),
  message: z.string().min(1),
  hint: z.string(),
  exitCode: z.int().min(1),
});

/** Compiles only while the schema says what the type says. */
export const sameAsType: (report: z.infer<typeof runReport>) => RunReport = (report) => report;
