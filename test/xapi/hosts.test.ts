import fc from 'fast-check';
import type { Ref } from '../../lib/xapi';
import { chooseTransferHost, explainNoHost, type TransferHost } from '../../lib/xapi/hosts';

function host(name: string, changes: Partial<TransferHost> = {}): TransferHost {
  const ref = `OpaqueRef:${name}` as Ref<'host'>;
  return {
    ref,
    name,
    address: '',
    isCoordinator: false,
    plugged: true,
    enabled: true,
    live: true,
    ...changes,
  };
}

describe('the host a transfer is sent to', () => {
  it('is the coordinator where that sees the storage', () => {
    const hosts = [host('a'), host('b', { isCoordinator: true })];
    expect(chooseTransferHost(hosts)?.name).toBe('b');
  });

  it.each([{ plugged: false }, { enabled: false }, { live: false }])(
    'is the first member by name where the coordinator is %j',
    (changes) => {
      const hosts = [host('c'), host('b'), host('a', { isCoordinator: true, ...changes })];
      expect(chooseTransferHost(hosts)?.name).toBe('b');
    },
  );

  it('is none where no host can, with the reason of each', () => {
    const hosts = [host('a', { plugged: false }), host('b', { live: false }), host('c', { enabled: false })];
    expect(chooseTransferHost(hosts)).toBeNull();
    expect(explainNoHost(hosts)).toBe('a: storage not plugged, b: not live, c: disabled');
  });

  it('is always one that can, in whatever order the hosts are listed', () => {
    const anyHost = fc.record({ plugged: fc.boolean(), enabled: fc.boolean(), live: fc.boolean() });
    fc.assert(
      fc.property(fc.array(anyHost, { maxLength: 6 }), (changes) => {
        const hosts = changes.map((change, index) =>
          host(String(index), { ...change, isCoordinator: index === 0 }),
        );
        const chosen = chooseTransferHost(hosts);
        expect(chooseTransferHost(hosts.toReversed())).toEqual(chosen);
        const able = hosts.filter(({ plugged, enabled, live }) => plugged && enabled && live);
        expect(chosen).toEqual(able[0] ?? null);
      }),
    );
  });
});
