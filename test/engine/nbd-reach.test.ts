/** Servers of NBD that do not answer: what that costs the disk, the other disks, and the other VMs of the run. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { RunReport } from '../../lib/engine';
import { Neighbours } from '../../lib/engine/neighbours';
import type { SimulatorSpec } from '../../lib/simulator';
import type { Pool } from '../../lib/xapi';
import { methods, nbdSpec, tracked } from './nbd-site';
import { guestWrites, Site } from './site';

const mib = 1024 ** 2;

interface Dead extends AsyncDisposable {
  readonly connections: () => number;
  /** The pool, which says that its hosts serve NBD at this port. */
  readonly instead: (source: Pool) => Pool;
}

/** Something that listens where NBD is expected, and is none. */
async function deadPort(onConnection: (socket: Socket) => void): Promise<Dead> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    connections: () => connections,
    instead: (source) => servedAt(source, port),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function servedAt(source: Pool, port: number): Pool {
  const call = async (...args: Parameters<Pool['call']>): Promise<unknown> => {
    const answer: unknown = await source.call(...args);
    if (args[0] !== 'VDI.get_nbd_info' || !Array.isArray(answer)) return answer;
    return answer.map((info: object) => ({ ...info, port }));
  };
  return new Proxy(source, {
    get(pool, key) {
      if (key === 'call') return call;
      const value: unknown = Reflect.get(pool, key, pool);
      return typeof value === 'function' ? (value.bind(pool) as unknown) : value;
    },
  });
}

const names = ['web1', 'web2', 'web3'];

function severalVms(): SimulatorSpec {
  const disks = [0, 1].map((device) => ({ device, sizeBytes: 8 * mib, sr: 'source-sr' }));
  return nbdSpec({ vms: names.map((name) => ({ name, tags: ['protect'], disks, vifs: [] })) });
}

async function write(site: Site, vm: string, fill: number): Promise<void> {
  for (const device of [0, 1])
    await guestWrites(site.source.control, vm, device, [{ atBytes: fill * 65_536, lengthBytes: 4096, fill }]);
}

function vmMethods(report: RunReport): readonly string[] {
  return report.vms.flatMap(({ disks }) => disks.map(({ copyKind, method }) => `${copyKind} ${method}`));
}

test('servers that cannot be reached are tried for one VM; the others of the run are read by export at once', async () => {
  await using site = await Site.start(severalVms());
  const job = await site.job({ ...tracked(), concurrency: 1 });
  for (const name of names) await write(site, name, 1);
  expect((await site.run(job)).report.ok).toBe(true);
  for (const name of names) await write(site, name, 2);

  await using dead = await deadPort((socket) => void socket.end('this is no NBD server'));
  const { report } = await site.run(job, { sourceAs: dead.instead });

  expect(report.ok).toBe(true);
  expect(vmMethods(report)).toEqual(names.flatMap(() => ['delta export', 'delta export']));
  expect(report.vms.map(({ attempts }) => attempts).sort()).toEqual([1, 1, 2]);
  // Two disks of the first VM, each at both hosts at most.
  expect(dead.connections()).toBeLessThanOrEqual(4);
  const reasons = report.vms.flatMap(({ disks }) => disks.map(({ methodBecause }) => methodBecause));
  expect(reasons.filter((reason) => reason.includes('this run could not reach it over NBD'))).toHaveLength(4);

  for (const name of names) await write(site, name, 3);
  const next = (await site.run(job)).report;
  expect(vmMethods(next)).toEqual(names.flatMap(() => ['delta nbd', 'delta nbd']));
});

test('the storage of a disk whose server does not answer is free for others', async () => {
  await using site = await Site.start(nbdSpec());
  const job = await site.job(tracked());
  await site.run(job);
  await write(site, 'db1', 1);
  const [sr = ''] = await (await site.connect('source')).call('SR.get_by_name_label', ['source-sr']);
  const neighbours = new Neighbours();
  // It answers, and wrongly, only after somebody else had his turn on the storage.
  await using dead = await deadPort((socket) => {
    void neighbours.storages
      .run([sr], () => Promise.resolve())
      .then(() => socket.end('this is no NBD server'));
  });
  const { report } = await site.run(job, { sourceAs: dead.instead, neighbours });

  expect(methods(report)).toEqual(['0 delta export', '1 delta export']);
  expect(dead.connections()).toBeGreaterThan(0);
});
