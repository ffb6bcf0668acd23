import { formatDate } from '../clock';
import { ApiError } from '../errors';
import type { Handlers } from '../pool/call';

/** Hosts and the pool object itself. */
export const hostsAndPool = {
  'host.get_servertime': ({ pool, args }) => {
    pool.db.row('host', args.text(0));
    return formatDate(pool.clock.now());
  },
  'host.get_server_localtime': ({ pool, args }) => {
    pool.db.row('host', args.text(0));
    return formatDate(pool.clock.now()).slice(0, -1);
  },
  'host.get_server_certificate': ({ pool, args }) => {
    pool.db.row('host', args.text(0));
    return pool.hostOf(args.text(0)).certificatePem;
  },
  'host.enable': ({ pool, args }) => {
    pool.db.set('host', args.text(0), 'enabled', true);
    return '';
  },
  'host.disable': ({ pool, args }) => {
    pool.db.set('host', args.text(0), 'enabled', false);
    return '';
  },
  'host.list_methods': () => {
    throw new ApiError('NOT_IMPLEMENTED', 'list_method');
  },
  'host.get_uncooperative_resident_VMs': () => [],
  'host.get_management_interface': ({ pool, args }) => {
    const found = [...pool.db.table('PIF').rows()].find(
      ([, row]) => row['host'] === args.text(0) && row['management'] === true,
    );
    if (found === undefined) throw new ApiError('INTERNAL_ERROR', 'Not_found');
    return found[0];
  },
  'host.call_plugin': ({ pool, args }) => {
    pool.db.row('host', args.text(0));
    throw new ApiError('XENAPI_MISSING_PLUGIN', args.text(1));
  },
  'host.compute_free_memory': ({ pool, args }) => {
    const metrics = pool.db.text('host', args.text(0), 'metrics');
    return pool.db.row('host_metrics', metrics)['memory_free'] ?? 0;
  },
  'host.set_name_label': ({ pool, args }) => {
    pool.db.set('host', args.text(0), 'name_label', args.text(1));
    return '';
  },
  'host.set_name_description': ({ pool, args }) => {
    pool.db.set('host', args.text(0), 'name_description', args.text(1));
    return '';
  },
  'pool.set_default_SR': ({ pool, args }) => {
    pool.db.set('pool', args.text(0), 'default_SR', args.text(1));
    return '';
  },
  'pool.designate_new_master': ({ pool, args }) => {
    pool.db.row('host', args.text(0));
    pool.moveCoordinator(args.text(0));
    return '';
  },
} satisfies Handlers;
