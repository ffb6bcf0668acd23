/** Single calls fail, or nobody learns what became of them. */
import type { FaultEffect } from '../../../lib/simulator';
import type { FaultPoint, Group, Start } from '../point';
import { strike } from '../strike';
import type { Expectation } from '../strike';
import type { Side } from '../stage';
import type { ChangingCall } from '../victim';
import type { CallsSeen } from './killed';

export function callGroups(calls: CallsSeen): readonly Group[] {
  const seen = [...calls.later, ...calls.first.filter((call) => !isIn(call, calls.later))];
  const firstOf = seen.filter(({ nth }) => nth === 1);
  const lastOf = seen.filter((call) => call.nth > 1 && !seen.some((other) => isNext(call, other)));
  return [
    {
      title: 'request lost',
      outcome: 'a call that never arrived: the run tries again and replicates',
      points: firstOf.map((call) => lost(call, calls, 'cut')),
    },
    {
      title: 'answer lost',
      outcome:
        'a call that was carried out without our knowing: nothing of it is left, nothing is done twice',
      points: [...firstOf, ...lastOf]
        // In the background a lost answer is a task that never ends; of those the engine's bound is half an hour.
        .filter(
          ({ side, method }) =>
            !isAsync(method) && !seen.some((call) => call.side === side && call.method === `Async.${method}`),
        )
        .map((call) => lost(call, calls, 'after')),
    },
    { title: 'refused call', outcome: 'as stated for each', points: refusals },
  ];
}

function isAsync(method: string): boolean {
  return method.startsWith('Async.');
}

function isIn(call: ChangingCall, others: readonly ChangingCall[]): boolean {
  return others.some(
    ({ side, method, nth }) => side === call.side && method === call.method && nth === call.nth,
  );
}

function isNext(call: ChangingCall, other: ChangingCall): boolean {
  return other.side === call.side && other.method === call.method && other.nth === call.nth + 1;
}

function lost(call: ChangingCall, calls: CallsSeen, how: 'cut' | 'after'): FaultPoint {
  const cut: FaultEffect = { kind: 'cut', afterBytes: 0 };
  const rule = {
    match: { method: call.method.replace('Async.', '') },
    skip: call.nth - 1,
    effect: how === 'cut' ? cut : ({ kind: 'after', effect: cut } as const),
  };
  return {
    name: `${call.side} ${call.method} #${String(call.nth)}`,
    from: isIn(call, calls.later) ? 'replica' : 'empty',
    play: (stage, random) => strike(stage, random, { rules: { [call.side]: [rule] }, expect: 'succeeds' }),
  };
}

interface Refusal {
  readonly side: Side;
  readonly method: string;
  readonly code: string;
  readonly nth?: number;
  readonly from?: Start;
  readonly expect: Expectation;
  readonly max?: number;
  readonly committed?: boolean;
}

const busy = 'OTHER_OPERATION_IN_PROGRESS';
const inUse = 'VDI_IN_USE';
const blocked = 'OPERATION_BLOCKED';
const full = 'SR_BACKEND_FAILURE_44';
const chain = 'SR_BACKEND_FAILURE_109';

/** `later` errors are tried again within the run, the others end it: a person has to do something first. */
const rows: readonly Refusal[] = [
  { side: 'source', method: 'VM.snapshot', code: busy, expect: 'heals' },
  { side: 'source', method: 'VM.snapshot', code: blocked, expect: { fails: blocked } },
  { side: 'source', method: 'VM.snapshot', code: full, expect: { fails: full } },
  {
    side: 'source',
    method: 'VM.snapshot',
    code: 'SR_SOURCE_SPACE_INSUFFICIENT',
    expect: { fails: 'SR_SOURCE_SPACE_INSUFFICIENT' },
  },
  { side: 'source', method: 'VM.snapshot', code: 'VM_SNAPSHOT_FAILED', expect: 'heals' },
  { side: 'source', method: 'VM.snapshot', code: busy, max: 9, expect: { fails: busy } },
  { side: 'source', method: 'VM.snapshot', code: chain, expect: 'heals' },
  { side: 'source', method: 'VM.snapshot', code: chain, max: 9, expect: { fails: chain } },
  { side: 'source', method: 'VM.set_other_config', code: 'INTERNAL_ERROR', expect: 'heals' },
  { side: 'source', method: 'VM.set_other_config', code: 'INTERNAL_ERROR', nth: 2, expect: 'heals' },
  {
    side: 'source',
    method: 'VM.set_other_config',
    code: 'INTERNAL_ERROR',
    nth: 2,
    max: 9,
    expect: { fails: 'INTERNAL_ERROR' },
    committed: true,
  },
  { side: 'source', method: 'VDI.destroy', code: inUse, expect: 'heals' },
  { side: 'source', method: 'VM.destroy', code: busy, expect: 'heals' },
  { side: 'source', method: 'task.create', code: 'TOO_MANY_PENDING_TASKS', expect: 'heals' },
  { side: 'target', method: 'VM.clone', code: busy, expect: 'heals' },
  { side: 'target', method: 'VM.clone', code: blocked, expect: { fails: blocked } },
  { side: 'target', method: 'VM.clone', code: full, expect: { fails: full } },
  { side: 'target', method: 'VM.clone', code: chain, expect: 'heals' },
  { side: 'target', method: 'VM.clone', code: chain, max: 9, expect: { fails: chain } },
  { side: 'target', method: 'VM.destroy', code: busy, expect: 'heals' },
  { side: 'target', method: 'VDI.create', code: full, from: 'empty', expect: { fails: full } },
  { side: 'target', method: 'VDI.create', code: full, nth: 2, from: 'empty', expect: { fails: full } },
  { side: 'target', method: 'VDI.create', code: 'SR_HAS_NO_PBDS', from: 'empty', expect: 'heals' },
  { side: 'target', method: 'VM.create', code: 'INTERNAL_ERROR', from: 'empty', expect: 'heals' },
  { side: 'target', method: 'VBD.create', code: 'INTERNAL_ERROR', from: 'empty', expect: 'heals' },
  { side: 'target', method: 'VM.add_to_other_config', code: 'INTERNAL_ERROR', expect: 'heals' },
  { side: 'target', method: 'VBD.destroy', code: busy, expect: 'heals' },
  { side: 'target', method: 'VBD.destroy', code: busy, nth: 2, expect: 'heals' },
  { side: 'target', method: 'VBD.create', code: inUse, expect: 'heals' },
  { side: 'target', method: 'VBD.create', code: inUse, nth: 2, expect: 'heals' },
  { side: 'target', method: 'VBD.create', code: inUse, nth: 2, max: 9, expect: { fails: inUse } },
  { side: 'target', method: 'VM.snapshot', code: busy, expect: 'heals' },
  { side: 'target', method: 'VM.snapshot', code: blocked, expect: { fails: blocked } },
  { side: 'target', method: 'VM.snapshot', code: full, expect: { fails: full } },
  { side: 'target', method: 'VM.snapshot', code: chain, max: 9, expect: { fails: chain } },
  { side: 'target', method: 'VM.set_other_config', code: 'INTERNAL_ERROR', expect: 'heals' },
  { side: 'target', method: 'VM.set_other_config', code: 'INTERNAL_ERROR', nth: 2, expect: 'heals' },
  { side: 'target', method: 'VDI.destroy', code: inUse, expect: 'heals' },
  { side: 'target', method: 'VDI.destroy', code: inUse, nth: 3, expect: 'heals' },
  { side: 'target', method: 'VDI.destroy', code: inUse, max: 30, expect: { fails: inUse }, committed: true },
  { side: 'target', method: 'VDI.set_other_config', code: 'SESSION_INVALID', expect: 'heals' },
  { side: 'source', method: 'VM.set_is_a_template', code: 'SESSION_INVALID', expect: 'heals' },
  {
    side: 'target',
    method: 'pool.add_to_other_config',
    code: 'RBAC_PERMISSION_DENIED',
    expect: { fails: 'RBAC_PERMISSION_DENIED' },
  },
];

const refusals = rows.map(
  ({ side, method, code, nth = 1, max = 1, from = 'replica', expect, committed }): FaultPoint => ({
    name:
      `${side} ${method}${nth === 1 ? '' : ` #${String(nth)}`}: ${code}` +
      `${max === 1 ? '' : ', for good'}${from === 'empty' ? ', full' : ''}`,
    from,
    play: (stage, random) =>
      strike(stage, random, {
        rules: { [side]: [{ match: { method }, skip: nth - 1, max, effect: { kind: 'error', code } }] },
        expect,
        ...(committed === undefined ? {} : { committed }),
      }),
  }),
);
