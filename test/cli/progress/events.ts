/** Events as the engine emits them, for a VM "db1" with a disk at device 0. */
import type { RunEvent } from '../../../lib/engine';

export const mib = 1024 ** 2;
export const vm = { uuid: '6f7c1a52-0f43-4be6-9a5e-0d6f3cbb2d11', name: 'db1' };

export function progressed(bytesRead: number, bytesExpected = 100 * mib, device = '0'): RunEvent {
  return { kind: 'disk-progress', vm, device, bytesRead, bytesSent: bytesRead, bytesExpected };
}

export function opened(device = '0'): RunEvent {
  return { kind: 'disk-opened', vm, device, copyKind: 'full', changedBytes: 100 * mib };
}

export function copied(device = '0'): RunEvent {
  return {
    kind: 'disk-copied',
    vm,
    device,
    copyKind: 'full',
    method: 'export',
    methodBecause: 'x',
    changedBytes: 100 * mib,
    bytesRead: 100.5 * mib,
    bytesSent: 90 * mib,
    digest: 'sha256:00',
  };
}

export const failedAttempt: RunEvent = {
  kind: 'attempt-failed',
  vm,
  attempt: 1,
  error: {
    code: 'HOST_OFFLINE',
    message: 'VM.snapshot failed: wait for it',
    hint: 'wait for it',
    retry: 'later',
  },
  retryInMs: 15_000,
};
