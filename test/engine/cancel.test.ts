import { compareNewest, leftovers } from './inspect';
import { guestWrites, Site } from './site';

const mib = 1024 ** 2;

describe('a run that is cancelled', () => {
  test.each(['snapshot-source', 'create-disk', 'copy-disk'] as const)(
    'right after %s began leaves nothing behind and releases the lock',
    async (step) => {
      await using site = await Site.start();
      await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 8 * mib, fill: 0x21 }]);
      const cancel = new AbortController();
      const job = await site.job();

      const { report } = await site.run(job, {
        context: {
          signal: cancel.signal,
          emit: (event) => {
            if (event.kind === 'step-started' && event.step === step)
              cancel.abort(new Error('stopped by the user'));
          },
        },
      });

      expect(report.vms.map(({ outcome }) => outcome.kind)).toEqual(['cancelled']);
      expect(await leftovers(site)).toEqual([]);
      // No waiting for a lease: the lock was released.
      const again = await site.run(job);
      expect(again.report.ok).toBe(true);
    },
  );

  test('in the middle of a transfer closes both connections and leaves nothing behind', async () => {
    await using site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 24 * mib, fill: 0x21 }]);
    const cancel = new AbortController();

    const { report } = await site.run(await site.job(), {
      context: {
        signal: cancel.signal,
        emit: (event) => {
          if (event.kind === 'disk-progress' && event.bytesSent > 4 * mib) cancel.abort(new Error('stopped'));
        },
      },
    });

    expect(report.vms.map(({ outcome }) => outcome.kind)).toEqual(['cancelled']);
    expect(await leftovers(site)).toEqual([]);
  });

  test('once the exchange of disks is announced finishes its recovery point instead', async () => {
    await using site = await Site.start();
    const cancel = new AbortController();

    const { report } = await site.run(await site.job(), {
      context: {
        signal: cancel.signal,
        emit: (event) => {
          if (event.kind === 'step-finished' && event.step === 'announce-swap')
            cancel.abort(new Error('stopped'));
        },
      },
    });

    expect(report.vms.map(({ outcome }) => outcome.kind)).toEqual(['replicated']);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });
});
