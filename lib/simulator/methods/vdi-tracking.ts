import { flag, list, map, text } from '../database/row';
import { ApiError } from '../errors';
import type { Call, Handlers } from '../pool/call';
import { settle, storage } from '../pool/disks';
import { pluggedHosts } from '../pool/attach';
import { checkVdiOperation } from '../pool/vdi-rules';
import { CbtError } from '../storage';
import { vdiOperation } from './vdi-operation';

/** `data_destroy` gives VBDs this long to vanish. */
const vanishMs = 4000;

/** Changed block tracking and where to read disks over NBD. */
export const vdiTracking = {
  'VDI.enable_cbt': (call) => setTracking(call, 'enable_cbt', true),
  'VDI.disable_cbt': (call) => setTracking(call, 'disable_cbt', false),
  'VDI.list_changed_blocks': listChangedBlocks,
  'VDI.data_destroy': dataDestroy,
  'VDI.get_nbd_info': nbdInfo,
} satisfies Handlers;

async function setTracking(call: Call, operation: string, on: boolean): Promise<string> {
  const { pool, args } = call;
  const vdi = args.text(0);
  requireTracking(pool, vdi);
  await vdiOperation(call, operation, async () => {
    const row = pool.db.row('VDI', vdi);
    if (flag(row, 'is_a_snapshot')) throw new ApiError('OPERATION_NOT_ALLOWED', `VDI is a snapshot: ${vdi}`);
    if (!['user', 'system'].includes(text(row, 'type')))
      throw new ApiError('VDI_INCOMPATIBLE_TYPE', vdi, text(row, 'type'));
    if (on && pool.db.map('pool', pool.ref, 'restrictions')['restrict_cbt'] === 'true')
      throw new ApiError('LICENCE_RESTRICTION', 'CBT');
    if (flag(row, 'cbt_enabled') === on) return;
    await storage(pool, text(row, 'SR'), (store) =>
      on ? store.enableCbt(text(row, 'location')) : store.disableCbt(text(row, 'location')),
    );
    pool.db.set('VDI', vdi, 'cbt_enabled', on);
  });
  return '';
}

/** @throws ApiError SR_OPERATION_NOT_SUPPORTED where the driver of the disk's SR knows nothing of it */
function requireTracking({ db }: Call['pool'], vdi: string): void {
  const sr = db.text('VDI', vdi, 'SR');
  const type = db.text('SR', sr, 'type');
  const driver = [...db.table('SM').rows()].find(([, row]) => text(row, 'type') === type);
  if (driver !== undefined && 'VDI_CONFIG_CBT' in map(driver[1], 'features')) return;
  throw new ApiError('SR_OPERATION_NOT_SUPPORTED', sr);
}

async function listChangedBlocks(call: Call): Promise<string> {
  const { pool, args } = call;
  const from = pool.db.row('VDI', args.text(0));
  const to = pool.db.row('VDI', args.text(1));
  requireTracking(pool, args.text(1));
  checkVdiOperation(pool.db, args.text(1), 'list_changed_blocks');
  try {
    const bitmap = await storage(pool, text(to, 'SR'), (store) =>
      store.listChangedBlocks(text(from, 'location'), text(to, 'location')),
    );
    return bitmap.toString('base64');
  } catch (error) {
    if (!(error instanceof CbtError)) throw error;
    const words = {
      same: 'Source and target VDI are same',
      unrelated: 'Source and target VDI are unrelated',
      'no-log': 'Source and target VDI are unrelated',
    };
    throw new ApiError(
      'SR_BACKEND_FAILURE_460',
      '',
      `Failed to calculate changed blocks for given VDIs. [opterr=${words[error.reason]}]`,
      '',
    );
  }
}

/** Keeps the record and the bitmap, drops the data. */
async function dataDestroy(call: Call): Promise<string> {
  const { pool, args } = call;
  const vdi = args.text(0);
  requireTracking(pool, vdi);
  const row = pool.db.row('VDI', vdi);
  if (!flag(row, 'is_a_snapshot'))
    throw new ApiError('OPERATION_NOT_ALLOWED', `VDI is not a snapshot: ${vdi}`);
  if (!flag(row, 'cbt_enabled')) throw new ApiError('VDI_NO_CBT_METADATA', vdi);
  if (text(row, 'type') === 'cbt_metadata') return '';
  await waitForVbds(call, vdi);
  await vdiOperation(call, 'data_destroy', async () => {
    await storage(pool, text(row, 'SR'), (store) => store.dataDestroy(text(row, 'location')));
    pool.db.update('VDI', vdi, {
      type: 'cbt_metadata',
      other_config: {
        ...pool.db.map('VDI', vdi, 'other_config'),
        content_id: '/No content: this is a cbt_metadata VDI/',
      },
    });
    settle(pool, [vdi]);
  });
  pool.scheduleCoalesce(text(row, 'SR'));
  return '';
}

async function waitForVbds({ pool, signal }: Call, vdi: string): Promise<void> {
  const deadline = pool.clock.now() + vanishMs;
  while (list(pool.db.row('VDI', vdi), 'VBDs').length > 0) {
    if (pool.clock.now() >= deadline) throw new ApiError('VDI_IN_USE', vdi, 'data_destroy');
    await pool.clock.sleep(Math.min(200, deadline - pool.clock.now()), signal);
  }
}

/** One record for each address of each host that sees the SR, on networks that have a purpose for it. */
function nbdInfo(call: Call): Record<string, string | number>[] {
  const { pool, args, session } = call;
  const { db } = pool;
  const row = db.row('VDI', args.text(0));
  if (text(row, 'type') === 'cbt_metadata')
    throw new ApiError('VDI_INCOMPATIBLE_TYPE', args.text(0), 'CBT metadata');
  const hosts = pluggedHosts(pool, text(row, 'SR'));
  return [...db.table('PIF').rows()].flatMap(([, pif]) => {
    const purpose = db.list('network', text(pif, 'network'), 'purpose');
    const serves = purpose.includes('nbd') || purpose.includes('insecure_nbd');
    const host = hosts.includes(text(pif, 'host')) ? pool.hostOf(text(pif, 'host')) : undefined;
    if (!serves || host === undefined || text(pif, 'IP') === '') return [];
    return [
      {
        exportname: `/${text(row, 'uuid')}?session_id=${session}`,
        address: text(pif, 'IP'),
        port: pool.nbdPorts.get(host.ref) ?? 10809,
        cert: host.certificatePem,
        subject: host.name,
      },
    ];
  });
}
