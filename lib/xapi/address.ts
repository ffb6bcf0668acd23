import { isIPv6 } from 'node:net';
import type { PoolEndpoint } from './endpoint';
import { TransportError } from './errors';

/** Where a host listens. */
export interface HostAddress {
  /** Name or address, IPv6 without brackets. */
  readonly hostname: string;
  readonly port: number;
}

export interface PoolUrl extends HostAddress {
  readonly secure: boolean;
}

/**
 * Parses `host.address` or the parameter of HOST_IS_SLAVE: an address alone, or with a port where the pool listens on an
 * unusual one. IPv6 with a port needs brackets.
 */
export function parseAddress(text: string, defaultPort: number): HostAddress {
  if (isIPv6(text)) return { hostname: text, port: defaultPort };
  const match = /^(?:\[([^\]]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const hostname = match?.[1] ?? match?.[2];
  if (match === null || hostname === undefined) throw new RangeError(`not the address of a host: "${text}"`);
  return { hostname, port: match[3] === undefined ? defaultPort : Number(match[3]) };
}

/** Host name or address as it stands in a URL: IPv6 in brackets. */
export function urlHostname(address: HostAddress): string {
  return isIPv6(address.hostname) ? `[${address.hostname}]` : address.hostname;
}

/** `host:port`, the form in which addresses are compared and shown. */
export function formatAddress(address: HostAddress): string {
  return `${urlHostname(address).toLowerCase()}:${address.port}`;
}

/**
 * Parses the URL of a pool.
 * @throws TransportError where it is no https URL, holds credentials, or is http:// without the `insecure` policy
 */
export function parsePoolUrl(endpoint: PoolEndpoint): PoolUrl {
  const refuse = (what: string, hint: string): TransportError =>
    new TransportError({ kind: 'protocol', retry: 'never', what, hint, poolName: endpoint.name });
  const url = URL.canParse(endpoint.url) ? new URL(endpoint.url) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '' || url.search !== '')
    throw refuse('its url is not one of a pool', 'write https://host or https://host:port');
  if (url.username !== '' || url.password !== '')
    throw refuse('its url holds credentials', 'give user name and password in their own fields');
  if (url.pathname !== '/')
    throw refuse(`its url has the path "${url.pathname}"`, 'write https://host or https://host:port');
  const secure = url.protocol === 'https:';
  if (!secure && endpoint.tls.kind !== 'insecure')
    throw refuse(
      'its url is plain http, which sends the password in the clear',
      'write https://, or set insecure: true where that is meant',
    );
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  return { secure, hostname, port: url.port === '' ? (secure ? 443 : 80) : Number(url.port) };
}
