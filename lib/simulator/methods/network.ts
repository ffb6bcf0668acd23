import { list, without } from '../database/row';
import { ApiError } from '../errors';
import type { Handlers } from '../pool/call';
import type { Value } from '../rpc/unmarshal';

export const networks = {
  'network.create': ({ pool, args }) => {
    const values = args.value(0) as Readonly<Record<string, Value>>;
    const number = pool.db.table('network').size;
    return pool.db.create('network', {
      ...without(values, 'purpose'),
      bridge: values['bridge'] || `xapi${number}`,
    });
  },
  'network.destroy': ({ pool, args }) => {
    const row = pool.db.row('network', args.text(0));
    const [pif, vif] = [
      list(row, 'PIFs')[0],
      list(row, 'VIFs').find((ref) => pool.db.flag('VIF', ref, 'currently_attached')),
    ];
    if (pif !== undefined) throw new ApiError('NETWORK_CONTAINS_PIF', pif);
    if (vif !== undefined) throw new ApiError('NETWORK_CONTAINS_VIF', vif);
    for (const dead of list(row, 'VIFs')) pool.db.destroy('VIF', dead);
    pool.db.destroy('network', args.text(0));
    return '';
  },
  'network.add_purpose': ({ pool, args }) => {
    const [network, purpose] = [args.text(0), args.text(1)];
    const before = list(pool.db.row('network', network), 'purpose');
    const other = purpose === 'nbd' ? 'insecure_nbd' : 'nbd';
    const conflict = [...pool.db.table('network').rows()].some(([, row]) =>
      list(row, 'purpose').includes(other),
    );
    if (conflict) throw new ApiError('NETWORK_INCOMPATIBLE_PURPOSES', purpose, other);
    if (!before.includes(purpose)) pool.db.set('network', network, 'purpose', [purpose, ...before]);
    return '';
  },
  'network.remove_purpose': ({ pool, args }) => {
    const before = list(pool.db.row('network', args.text(0)), 'purpose');
    pool.db.set(
      'network',
      args.text(0),
      'purpose',
      before.filter((purpose) => purpose !== args.text(1)),
    );
    return '';
  },
} satisfies Handlers;
