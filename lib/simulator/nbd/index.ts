/** The NBD server of a host (port 10809 of a real one): read-only, EXPORT_NAME only. */
export { startNbdServer, type NbdServer, type NbdServerOptions } from './nbd-server';
