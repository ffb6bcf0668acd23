import { classify, TransportError, XapiError } from '../../lib/xapi';
import { ADVICE } from '../../lib/xapi/error-table';

describe('what to make of an error code', () => {
  it.each([
    ['SESSION_INVALID', 'now'],
    ['HOST_IS_SLAVE', 'now'],
    ['HOST_OFFLINE', 'later'],
    ['HOST_NOT_LIVE', 'later'],
    ['CANNOT_CONTACT_HOST', 'later'],
    ['SESSION_AUTHENTICATION_FAILED', 'never'],
    ['SESSION_AUTHORIZATION_FAILED', 'never'],
    ['RBAC_PERMISSION_DENIED', 'never'],
    ['HANDLE_INVALID', 'never'],
    ['UUID_INVALID', 'never'],
    ['OTHER_OPERATION_IN_PROGRESS', 'later'],
    ['VDI_IN_USE', 'later'],
    ['OPERATION_BLOCKED', 'never'],
    ['OPERATION_NOT_ALLOWED', 'never'],
    ['VM_BAD_POWER_STATE', 'never'],
    ['SR_FULL', 'never'],
    ['SR_BACKEND_FAILURE_44', 'never'],
    ['SR_BACKEND_FAILURE_46', 'later'],
    ['SR_BACKEND_FAILURE_109', 'later'],
    ['SR_BACKEND_FAILURE_459', 'never'],
    ['SR_BACKEND_FAILURE_460', 'never'],
    ['SR_HAS_NO_PBDS', 'later'],
    ['SR_NOT_ATTACHED', 'later'],
    ['VDI_IO_ERROR', 'later'],
    ['VDI_NO_CBT_METADATA', 'never'],
    ['VDI_INCOMPATIBLE_TYPE', 'never'],
    ['VDI_CBT_ENABLED', 'never'],
    ['VDI_MISSING', 'never'],
    ['VDI_TOO_LARGE', 'never'],
    ['DEVICE_DETACH_REJECTED', 'later'],
    ['LICENCE_RESTRICTION', 'never'],
    ['TASK_CANCELLED', 'later'],
    ['NO_HOSTS_AVAILABLE', 'later'],
    ['MAP_DUPLICATE_KEY', 'never'],
    ['MESSAGE_METHOD_UNKNOWN', 'never'],
    ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'never'],
    ['MESSAGE_REMOVED', 'never'],
    ['INTERNAL_ERROR', 'later'],
    ['TOO_MANY_PENDING_TASKS', 'later'],
  ])('%s: retry %s', (code, retry) => {
    expect(ADVICE[code]).toBeDefined();
    expect(classify(code).retry).toBe(retry);
  });

  it('a numbered failure of a storage driver that nobody listed is retried later', () => {
    expect(classify('SR_BACKEND_FAILURE_181')).toEqual({
      retry: 'later',
      hint: 'the storage driver failed; its text says why',
    });
  });

  it('a code that nobody listed is retried after another look', () => {
    expect(classify('NEW_IN_2030').retry).toBe('later');
  });

  it.each(Object.entries(ADVICE))('%s has the spelling of a code and advice in words', (code, { hint }) => {
    expect(code).toMatch(/^[A-Z0-9_]+$/);
    expect(hint).toMatch(/^[a-z].*[^.]$/);
  });
});

describe('the text of an error', () => {
  it('names call, pool, code, parameters and what to do', () => {
    const error = new XapiError({
      code: 'SR_BACKEND_FAILURE_44',
      params: ['', 'no space', ''],
      method: 'VDI.create',
      poolName: 'paris',
    });
    expect(error.message).toBe(
      'VDI.create failed on pool "paris": SR_BACKEND_FAILURE_44(, no space, ): ' +
        'the storage has no space left: free some, or choose another one',
    );
  });

  it.each([
    [
      'GET https://h/export_raw_vdi?session_id=OpaqueRef:123&vdi=a',
      'GET https://h/export_raw_vdi?session_id=***&vdi=a',
    ],
    ['GET /export_raw_vdi?vdi=a&session_id=OpaqueRef%3A123', 'GET /export_raw_vdi?vdi=a&session_id=***'],
    ['bad url https://root:hunter2@10.0.0.1/', 'bad url https://***@10.0.0.1/'],
  ])('"%s" loses what opens a pool', (text, shown) => {
    const facts = { kind: 'http', retry: 'later', hint: 'none', poolName: 'paris' } as const;
    expect(new TransportError({ ...facts, what: text }).message).toContain(shown);
    expect(new XapiError({ code: 'X', params: [text], method: 'm', poolName: 'p' }).params).toEqual([shown]);
  });

  it('keeps the cause of a broken connection', () => {
    const cause = new Error('read ECONNRESET');
    const facts = {
      kind: 'connection',
      retry: 'later',
      what: 'lost',
      hint: 'none',
      poolName: 'paris',
    } as const;
    expect(new TransportError({ ...facts, cause }).cause).toBe(cause);
  });
});
