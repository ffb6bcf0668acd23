import { nbdLimits, openNbdReader } from '../../../lib/engine/data/read-nbd';
import { NbdReach } from '../../../lib/nbd';
import type { NbdServer } from '../../../lib/nbd';
import type { Pool, Ref } from '../../../lib/xapi';
import { mib, openReader, serverAt, simulatedNbd } from '../../nbd/servers';

const never = new AbortController().signal;

/** A pool that says only who serves its disks. */
function poolOf(servers: readonly NbdServer[]): Pick<Pool, 'call'> {
  const infos = servers.map(({ address, port, exportName, certificatePem, subject }) => ({
    address,
    port,
    exportname: exportName,
    cert: certificatePem,
    subject,
  }));
  return { call: () => Promise.resolve(infos) } as Partial<Pool> as Pick<Pool, 'call'>;
}

const request = { vdi: 'OpaqueRef:disk' as Ref<'VDI'>, sizeBytes: 4 * mib, startBytes: 0, name: 'disk' };
const limits = { ...nbdLimits, retryDelayMs: 1 };

test('IPv6 addresses, on which hosts do not listen, take no turn; they are used where there is nothing else', async () => {
  await using nbd = await simulatedNbd();
  const { port } = nbd.server;
  const sixth = { ...nbd.server, address: '::1' };
  const eager = { ...limits, openFailuresMax: 0 };
  const reader = await openNbdReader(poolOf([sixth, nbd.server]), request, never, eager);
  await reader.abort();

  const reach = new NbdReach();
  await expect(openNbdReader(poolOf([sixth]), { ...request, reach }, never, eager)).rejects.toMatchObject({
    kind: 'connection',
  });
  expect([...reach.unreached().keys()]).toEqual([`[::1]:${String(port)}`]);
});

test('servers that another disk did not reach are left out; they are tried where NBD is the only way', async () => {
  await using nbd = await simulatedNbd();
  const reach = new NbdReach();
  await openReader([{ ...nbd.server, subject: 'another.host' }], { reach }).catch(() => undefined);
  const pool = poolOf([nbd.server]);
  await expect(openNbdReader(pool, { ...request, reach }, never, limits)).rejects.toMatchObject({
    kind: 'out-of-reach',
  });
  expect(nbd.pool.events).toEqual([]);

  const reader = await openNbdReader(pool, { ...request, reach, onlyWay: true }, never, limits);
  expect(reader.changedBytes).toBe(4 * mib);
  await reader.abort();
});

test('of two servers, the one that another disk reached is used', async () => {
  await using nbd = await simulatedNbd();
  const reach = new NbdReach();
  const gone = serverAt(1);
  await openReader([gone], { reach }).catch(() => undefined);
  let asked = 0;
  const pool = poolOf([gone, nbd.server]);
  const counted = { ...limits, openFailuresMax: 0 };
  const call = (...args: Parameters<Pool['call']>): unknown => ((asked += 1), pool.call(...args));
  const reader = await openNbdReader(
    { call } as Partial<Pool> as Pool,
    { ...request, reach },
    never,
    counted,
  );
  expect(asked).toBe(1);
  await reader.abort();
});
