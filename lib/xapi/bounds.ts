const MINUTE_MS = 60_000;

const reads =
  /^\w+\.(?:get_|query_data_source$)|^VDI\.list_changed_blocks$|^event\.from$|^system\.listMethods$/;

/** True for messages that change nothing, so that asking twice is harmless. */
export function isRead(method: string): boolean {
  return reads.test(method);
}

/**
 * Calls that wait for storage or for a guest. xapi itself waits inside a call, up to two hours, while another operation
 * holds the object; past half an hour a person should look.
 */
const LONG = new Set([
  'VM.snapshot',
  'VM.clone',
  'VM.destroy',
  'VM.start',
  'VM.hard_shutdown',
  'VDI.create',
  'VDI.clone',
  'VDI.destroy',
  'VDI.resize',
  'SR.scan',
]);

/** Default bound of a call in milliseconds. */
export function defaultTimeoutMs(method: string): number {
  if (method === 'session.login_with_password') return MINUTE_MS;
  if (method === 'session.logout') return 5_000;
  // It only reads, but the storage walks the logs of a chain for it.
  if (method === 'VDI.list_changed_blocks') return 10 * MINUTE_MS;
  if (isRead(method)) return readsMany(method) ? 2 * MINUTE_MS : MINUTE_MS;
  return LONG.has(method.replace(/^Async\./, '')) ? 30 * MINUTE_MS : 10 * MINUTE_MS;
}

function readsMany(method: string): boolean {
  return method.includes('.get_all_records') || method === 'event.from';
}
