import { heldDuring, SpaceLedger } from '../../lib/engine/space-ledger';
import type { RunSpace, SpaceSeen } from '../../lib/engine/space-ledger';

const never = new AbortController().signal;
const paris = { poolUuid: 'Paris', srUuid: 'vault' };

function vm(name: string): { readonly uuid: string; readonly name: string } {
  return { uuid: name, name };
}

function takes(run: RunSpace, name: string, needBytes: number): void {
  run.reserve(vm(name), { needBytes, freeBytesThen: 100, heldBytesThen: 0 });
}

function told({ reservations }: SpaceSeen): readonly string[] {
  return reservations.map(({ job, vm: { name }, needBytes }) => {
    return `${job?.name ?? 'this run'}: ${name} ${String(needBytes)}`;
  });
}

test('each VM sees what all others hold of its SR, of its own run and of others, whatever the pool is called', () => {
  const ledger = new SpaceLedger();
  const gold = ledger.enter({ job: { id: 'g', name: 'gold' }, ...paris });
  const silver = ledger.enter({ job: { id: 's', name: 'silver' }, poolUuid: 'paris', srUuid: 'VAULT' });
  takes(gold, 'web', 3);
  takes(gold, 'db', 4);
  takes(silver, 'web', 5);
  expect(told(gold.ofOthers('web'))).toEqual(['this run: db 4', 'silver: web 5']);
  expect(told(silver.ofOthers('web'))).toEqual(['gold: web 3', 'gold: db 4']);
});

test('another SR, and an SR of another pool that has the same uuid, are something else', () => {
  const ledger = new SpaceLedger();
  takes(ledger.enter({ job: { id: 'g', name: 'gold' }, ...paris }), 'web', 3);
  const elsewhere = [
    { ...paris, srUuid: 'cellar' },
    { ...paris, poolUuid: 'lyon' },
  ].map((storage) => ledger.enter({ job: { id: 's', name: 'silver' }, ...storage }));
  expect(elsewhere.map((run) => told(run.ofOthers('db')))).toEqual([[], []]);
});

test('what is released is forgotten, and all that a run held at its end', () => {
  const ledger = new SpaceLedger();
  const [gold, silver] = ['gold', 'silver'].map((name) =>
    ledger.enter({ job: { id: name, name }, ...paris }),
  );
  if (gold === undefined || silver === undefined) throw new Error('two runs expected');
  for (const name of ['a', 'b', 'c']) takes(gold, name, 1);
  gold.release('a');
  expect(told(silver.ofOthers('x'))).toEqual(['gold: b 1', 'gold: c 1']);
  gold.leave();
  expect(told(silver.ofOthers('x'))).toEqual([]);
});

test('who ends, and who begins, while others look is counted', () => {
  const run = new SpaceLedger().enter({ job: { id: 'g', name: 'gold' }, ...paris });
  takes(run, 'ends', 3);
  takes(run, 'plans again', 9);
  const before = run.ofOthers('looks');
  run.release('ends');
  run.release('plans again');
  takes(run, 'plans again', 2);
  takes(run, 'begins', 4);
  const held = heldDuring(before, run.ofOthers('looks'));
  expect(held.map(({ vm: { name }, needBytes }) => [name, needBytes])).toEqual([
    ['ends', 3],
    ['plans again', 9],
    ['begins', 4],
  ]);
});

test('who waits is seen by those who come later, in order, until it waits no more', () => {
  const ledger = new SpaceLedger();
  const gold = ledger.enter({ job: { id: 'g', name: 'gold' }, ...paris });
  const silver = ledger.enter({ job: { id: 's', name: 'silver' }, ...paris });
  gold.waitInLine(vm('large'), 9);
  silver.waitInLine(vm('db'), 2);
  gold.waitInLine(vm('large'), 8);
  const seenBy = (run: RunSpace, name: string): readonly string[] =>
    run.ofOthers(name).waiters.map((one) => `${one.vm.name} ${String(one.needBytes)}`);
  expect(seenBy(silver, 'web')).toEqual(['large 8', 'db 2']);
  expect(seenBy(silver, 'db')).toEqual(['large 8']);
  expect(seenBy(gold, 'large')).toEqual([]);
  gold.leave();
  expect(seenBy(silver, 'web')).toEqual(['db 2']);
});

describe('waiting', () => {
  test('for who was in line before ends when that one waits no more', async () => {
    const run = new SpaceLedger().enter({ job: { id: 'g', name: 'gold' }, ...paris });
    run.waitInLine(vm('large'), 9);
    const waiting = run.released(run.ofOthers('db'), never);
    run.leaveLine('large');
    await waiting;
  });

  test('ends when a VM of any run releases something, and does not begin where nobody holds anything', async () => {
    const ledger = new SpaceLedger();
    const [gold, silver] = ['gold', 'silver'].map((name) =>
      ledger.enter({ job: { id: name, name }, ...paris }),
    );
    if (gold === undefined || silver === undefined) throw new Error('two runs expected');
    await silver.released(silver.ofOthers('db'), never);
    takes(gold, 'web', 3);
    const waiting = Promise.all([gold, silver].map((run) => run.released(run.ofOthers('db'), never)));
    gold.leave();
    await waiting;
  });

  test('does not begin where somebody released something since it was looked', async () => {
    const run = new SpaceLedger().enter({ job: { id: 'g', name: 'gold' }, ...paris });
    takes(run, 'a', 3);
    takes(run, 'b', 3);
    const seen = run.ofOthers('c');
    run.release('a');
    await run.released(seen, never);
  });

  test('ends with its signal', async () => {
    const run = new SpaceLedger().enter({ job: { id: 'g', name: 'gold' }, ...paris });
    takes(run, 'a', 3);
    const controller = new AbortController();
    const waiting = run.released(run.ofOthers('b'), controller.signal);
    controller.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });
});
