import { ProviderServer } from '../../../lib/provider/framework';
import type { ValueObject } from '../../../lib/provider/framework';
import { FakeWorld, ids } from './fake-pools';

const config = {
  target_pool: 'munich',
  job_id: ids.web.toUpperCase(),
  id: null,
  reachable: null,
  replicas: null,
};

let world: FakeWorld;
beforeEach(() => {
  world = new FakeWorld();
});

async function read(settings: ValueObject = {}) {
  const server = new ProviderServer(world.provider());
  await server.configure(settings);
  return server.readDataSource('xenrepl_replicas', config);
}

test('replicas and their recovery points, newest first, with times as text', async () => {
  world.replicas = [
    {
      jobId: ids.web,
      sourceVmUuid: 'vm',
      name: 'web',
      uuid: 'replica',
      srUuid: ids.nas,
      state: 'ready',
      verification: null,
      points: [
        {
          uuid: 'p2',
          name: 'web 2',
          takenAtMs: Date.UTC(2026, 10, 23, 12),
          committedAtMs: Date.UTC(2026, 10, 23, 12, 1),
          kind: 'delta',
          sourceSnapshotUuid: 's2',
          runId: 'r2',
          verified: null,
          disks: [{ device: '0', vdiUuid: 'v', sourceVdiUuid: 'sv', sizeBytes: 3 * 1024 ** 4 }],
        },
        {
          uuid: 'p1',
          name: 'web 1',
          takenAtMs: Date.UTC(2026, 10, 23, 11),
          committedAtMs: Date.UTC(2026, 10, 23, 11, 1),
          kind: 'full',
          sourceSnapshotUuid: 's1',
          runId: 'r1',
          verified: { atMs: Date.UTC(2026, 10, 23, 11, 30), mode: 'sampled', equal: false },
          disks: [],
        },
      ],
    },
    {
      jobId: ids.web,
      sourceVmUuid: 'vm3',
      name: 'db',
      uuid: 'replica3',
      srUuid: ids.nas,
      state: 'empty',
      verification: null,
      points: [],
    },
  ];
  const { state, diagnostics } = await read();
  expect(diagnostics).toEqual([]);
  expect(state).toEqual({
    target_pool: 'munich',
    job_id: ids.web.toUpperCase(),
    id: `munich/${ids.web}`,
    reachable: true,
    replicas: [
      {
        source_vm_uuid: 'vm',
        source_vm_name: 'web',
        replica_uuid: 'replica',
        replica_name: 'web',
        sr_uuid: ids.nas,
        state: 'ready',
        newest_recovery_point_uuid: 'p2',
        newest_recovery_point_at: '2026-11-23T12:00:00.000Z',
        recovery_points: [
          {
            uuid: 'p2',
            name: 'web 2',
            taken_at: '2026-11-23T12:00:00.000Z',
            committed_at: '2026-11-23T12:01:00.000Z',
            kind: 'delta',
            source_snapshot_uuid: 's2',
            run_id: 'r2',
            verified_at: null,
            verified_mode: null,
            verified_equal: null,
            disks: [{ device: '0', vdi_uuid: 'v', source_vdi_uuid: 'sv', size_bytes: 3298534883328 }],
          },
          {
            uuid: 'p1',
            name: 'web 1',
            taken_at: '2026-11-23T11:00:00.000Z',
            committed_at: '2026-11-23T11:01:00.000Z',
            kind: 'full',
            source_snapshot_uuid: 's1',
            run_id: 'r1',
            verified_at: '2026-11-23T11:30:00.000Z',
            verified_mode: 'sampled',
            verified_equal: false,
            disks: [],
          },
        ],
      },
      expect.objectContaining({
        state: 'empty',
        newest_recovery_point_uuid: null,
        newest_recovery_point_at: null,
      }),
    ],
  });
  expect(world.askedFor).toEqual([ids.web]);
});

test('an unknown job has no replicas: they may have been deleted with it', async () => {
  expect((await read()).state).toMatchObject({ reachable: true, replicas: [] });
});

test('a target that does not answer is an error by default', async () => {
  world.munich.failure = world.munich.silence();
  const { state, diagnostics } = await read();
  expect(state).toBeNull();
  expect(diagnostics).toEqual([expect.objectContaining({ severity: 'error' })]);
  expect(diagnostics[0]?.detail).toContain('Pool "munich" is unreachable');
});

test('with on_unreachable = "warn" it is said in the data', async () => {
  world.munich.failure = world.munich.silence();
  const { state, diagnostics } = await read({ on_unreachable: 'warn' });
  expect(state).toMatchObject({ reachable: false, replicas: [] });
  expect(diagnostics.map(({ severity }) => severity)).toEqual(['warning']);
});

test('refused credentials are an error in any case', async () => {
  world.munich.failure = world.munich.refuse('SESSION_AUTHENTICATION_FAILED');
  const { diagnostics } = await read({ on_unreachable: 'warn' });
  expect(diagnostics.map(({ severity }) => severity)).toEqual(['error']);
});
