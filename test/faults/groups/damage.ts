/** Hosts that hang, that damage bytes, that say yes and do nothing. */
import type { FaultEffect } from '../../../lib/simulator';
import { diskName, writeThreeBlocks } from '../frames';
import { Wrong } from '../judge';
import type { FaultPoint, Group } from '../point';
import { limits, mib } from '../stage';
import type { Stage } from '../stage';
import { recover, strike } from '../strike';
import { withShortTimings } from '../timings';
import { busyDisks, until } from '../wait';

type Transfer = 'import' | 'export';

const words: Readonly<Record<Transfer, string>> = { import: 'upload', export: 'download' };

const head = 5 * 512;

const shownInDownload: readonly (readonly [string, number])[] = [
  ['in the first footer', 10],
  ['in the size', 50],
  ['in the header', 512 + 30],
  ['in the table of blocks', 2048 + 2],
  ['in the last footer', head + 3 * (512 + 2 * mib) + 20],
];

const shownInUpload: readonly (readonly [string, number])[] = [
  ['in the offset of a frame', 0],
  ['in the length of a frame', 8],
  ['in the length of a later frame', 12 + 2 * mib + 8],
];

function damaged(transfer: Transfer, name: string, atByte: number): FaultPoint {
  return {
    name: `${words[transfer]} ${name}`,
    from: 'replica',
    play: (stage, random) =>
      // A host that takes the length of a frame for a longer one waits for bytes that never come.
      withShortTimings(() =>
        strike(stage, random, {
          write: writeThreeBlocks,
          rules: {
            [transfer === 'import' ? 'target' : 'source']: [
              { match: { transfer, object: diskName }, effect: { kind: 'corrupt', atByte } },
            ],
          },
          expect: 'heals',
        }),
      ),
  };
}

function hangs(transfer: Transfer, name: string, effect: FaultEffect): FaultPoint {
  return {
    name: `${words[transfer]} ${name}`,
    from: 'replica',
    play: (stage, random) =>
      withShortTimings(() =>
        strike(stage, random, {
          // More than the buffers of two sockets hold: an upload that fits into them is waited for longer.
          write: (at: Stage) => at.fill(0, 0, 16 * mib, 1 + ((at.blocksWritten += 1) % 250)),
          run: { limits: { ...limits, bytesMax: 64 * mib } },
          rules: {
            [transfer === 'import' ? 'target' : 'source']: [
              { match: { transfer, object: diskName }, effect },
            ],
          },
          expect: 'heals',
          // The host does not notice at once that nobody talks to it any more: that upload has outlived its connection.
          toleratedAtFirst: [/attached to a control domain/, /target: disk root .* unused/],
          remedy: async (at: Stage) => {
            await at.site.target.control.clearFaults();
            await until('the hung upload has ended', async () => (await busyDisks(at, 'target')) === 0);
          },
        }),
      ),
  };
}

/** A lie that contradicts nothing: only reading back tells. */
function unseen(name: string, transfer: Transfer, effect: FaultEffect): FaultPoint {
  return {
    name,
    from: 'own',
    play: async (stage) => {
      await writeThreeBlocks(stage);
      const { control } = stage.pool(transfer === 'import' ? 'target' : 'source');
      await control.addFault({ match: { transfer, object: diskName }, effect });
      const { report } = await stage.run();
      if (!report.ok) throw new Wrong(['the fault was noticed: this group is for those that are not']);
      await stage.clearFaults();
      const { points } = await stage.verify();
      const [found] = points;
      if (found?.outcome.kind !== 'differs')
        throw new Wrong([`reading back said ${JSON.stringify(found?.outcome)}`]);
      stage.judge.condemn(found.point.uuid);
      const refused = (await stage.run()).report.vms[0]?.outcome.kind;
      if (refused !== 'blocked')
        throw new Wrong([`a run on a point that is known to be wrong: ${String(refused)}`]);
      await recover(stage, { next: { onMissingBase: 'full' } });
    },
  };
}

export function damageGroups(): readonly Group[] {
  return [
    {
      title: 'transfer hangs',
      outcome: 'given up after the bound of silence; the run tries again and replicates',
      points: [
        hangs('import', 'its host takes no byte', { kind: 'stall', afterBytes: 0 }),
        hangs('import', 'its host stops in a header', { kind: 'stall', afterBytes: 9 }),
        hangs('import', 'its host stops in the data', { kind: 'stall', afterBytes: mib }),
        hangs('import', 'never answered', { kind: 'hang' }),
        hangs('export', 'its host sends no byte', { kind: 'stall', afterBytes: 0 }),
        hangs('export', 'its host stops in the header', { kind: 'stall', afterBytes: 700 }),
        hangs('export', 'its host stops in the data', { kind: 'stall', afterBytes: mib }),
        hangs('export', 'never answered', { kind: 'hang' }),
      ],
    },
    {
      title: 'damage that shows',
      outcome: 'the stream contradicts itself: nothing of it counts, the run tries again and replicates',
      points: [
        ...shownInDownload.map(([name, atByte]) => damaged('export', name, atByte)),
        ...shownInUpload.map(([name, atByte]) => damaged('import', name, atByte)),
      ],
    },
    {
      title: 'damage inside a host',
      outcome:
        'the interfaces carry no checksum of content: it is found by verifying, and then no delta is built on it',
      points: [
        unseen('download: a byte of data turned over by the source host', 'export', {
          kind: 'corrupt',
          atByte: mib,
        }),
        unseen('upload: a byte of data turned over by the target host', 'import', {
          kind: 'corrupt',
          atByte: mib,
        }),
        unseen('download: the source host leaves out a block and says success', 'export', { kind: 'lie' }),
        unseen('upload: the target host drops everything and says success', 'import', { kind: 'lie' }),
      ],
    },
  ];
}
