import { SpaceLedger } from '../../lib/engine/space-ledger';

const never = new AbortController().signal;

test('adds up what others hold, and forgets what is released', () => {
  const ledger = new SpaceLedger();
  ledger.reserve('a', 3);
  ledger.reserve('b', 4);
  expect([ledger.reservedByOthers('a'), ledger.reservedByOthers('b'), ledger.reservedByOthers('c')]).toEqual([
    4, 3, 7,
  ]);
  ledger.release('b');
  expect(ledger.reservedByOthers('c')).toBe(3);
});

test('whoever waits is woken by a release, and does not wait where nobody holds anything', async () => {
  const ledger = new SpaceLedger();
  await ledger.released(never);
  ledger.reserve('a', 3);
  const waiting = Promise.all([ledger.released(never), ledger.released(never)]);
  ledger.release('a');
  await waiting;
});

test('a wait ends with its signal', async () => {
  const ledger = new SpaceLedger();
  ledger.reserve('a', 3);
  const controller = new AbortController();
  const waiting = ledger.released(controller.signal);
  controller.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});
