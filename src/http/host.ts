/**
 * Checks the header `Host`. A web page can reach a server on loopback under a name of its own, whose address it changes
 * (DNS rebinding). The browser then sends that name.
 */
import { isIP } from 'node:net';
import { ServiceError } from '../errors.ts';
import type { Headers } from './auth.ts';

export type HostSettings = {
  /** The address to listen on, as it was configured. */
  host: string;
  /** Further names under which a server on loopback may be called. `*` allows every name. */
  allowedHosts: string[];
};

/**
 * Throws `invalid_request` if there is more than one host, and `host_not_allowed` if the server listens only on
 * loopback and the name is neither loopback's nor allowed.
 * @param bound the address on which the server listens
 */
export function checkHost(headers: Headers, bound: string, { host, allowedHosts }: HostSettings): void {
  const given = headers['host'] ?? [];
  if (given.length > 1) {
    throw new ServiceError('invalid_request', `Cannot serve the request: it has ${given.length} Host headers`);
  }
  const name = nameOf(given[0] ?? '');
  // Browsers send the header always. A request of HTTP/1.0 may have none.
  if (name === '' || !isLoopback(bound) || isLoopback(name) || name === 'localhost' || name.endsWith('.localhost')) {
    return;
  }
  if ([host, ...allowedHosts].some((allowed) => allowed === '*' || nameOf(allowed) === name)) return;
  const shown = JSON.stringify(name.slice(0, 100));
  const why = 'this server listens on loopback only, and the name is not in ALLOWED_HOSTS';
  throw new ServiceError('host_not_allowed', `Cannot serve the host ${shown}: ${why}`);
}

/** Returns the host without its port, its brackets and its final dot, in lower case. */
function nameOf(host: string): string {
  const [, bracketed, plain = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  const name = bracketed ?? (plain || host);
  return name.toLowerCase().replace(/\.$/, '');
}

function isLoopback(address: string): boolean {
  if (isIP(address) === 4) return address.startsWith('127.');
  return isIP(address) === 6 && /^(::1|(::ffff:)127\..*)$/.test(address);
}
