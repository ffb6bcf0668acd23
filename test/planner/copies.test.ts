import { planCopies } from '../../lib/planner/copies';
import { gib, observed } from './language';
import { jobWith } from './literals';

const how = { job: jobWith(), nbd: null };
const { source, target } = observed('vm 0:root*4 1:data*8');

test('without a base every disk is a full, for the reason given', () => {
  const copies = planCopies(source.disks, null, null, 'the first copy', target, how);
  expect(copies).toMatchObject([
    { kind: 'full', device: '0', sizeBytes: 4 * gib, because: 'the first copy', elideZeros: true },
    { kind: 'full', device: '1', sizeBytes: 8 * gib, because: 'the first copy', elideZeros: true },
  ]);
});
