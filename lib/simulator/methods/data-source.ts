import { ApiError, internalError } from '../errors';
import type { Call, Handlers } from '../pool/call';

/** What a control domain does when nobody says otherwise: next to nothing. */
const idleLoad = 0.25;

/**
 * Figures that the statistics daemon (xcp-rrdd) of a host keeps: of the many that a real one has, the load average of the
 * control domain. Facts: `datamodel_host.ml` (both messages since XenServer 5.0, for every role), `rrdd_server.ml` (a name
 * that is not recorded is an exception inside the daemon).
 */
export const dataSources = {
  'host.get_data_sources': (call) => {
    const load = loadOf(call);
    return [
      {
        name_label: 'loadavg',
        name_description: 'Domain0 loadavg',
        enabled: load !== null,
        standard: true,
        units: '(fraction)',
        // A real host has no bounds for it, which JSON cannot say.
        min: 0,
        max: Number.MAX_VALUE,
        value: 0,
      },
    ];
  },
  'host.query_data_source': (call) => {
    const load = loadOf(call);
    const name = call.args.text(1);
    if (name === 'loadavg' && load !== null) return load;
    throw internalError(
      `Rrd_interface.Rrdd_error([S(Rrdd_internal_error);S(Rrd.Invalid_data_source(${JSON.stringify(name)}))])`,
    );
  },
} satisfies Handlers;

/** Null: the daemon does not record it. Each host answers for itself: the coordinator passes the question on. */
function loadOf({ pool, args }: Call): number | null {
  const host = pool.hostOf(args.text(0));
  if (pool.offline.has(host.ref)) throw new ApiError('HOST_OFFLINE', host.ref);
  const load = pool.controlDomainLoads.get(host.ref);
  return load === undefined ? idleLoad : load;
}
