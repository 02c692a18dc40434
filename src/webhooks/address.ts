/**
 * Checks the addresses to which webhooks are sent. Only public addresses are allowed, unless private ones are allowed
 * too.
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

export type Address = { address: string; family: 4 | 6 };

/** The networks that are not part of the public internet, from the IANA special-purpose address registries. */
const notPublic = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  notPublic.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  notPublic.addSubnet(network, prefix, 'ipv6');
}
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');

const notAllowed = 'it leads to a private, loopback or link-local address';

/**
 * Returns why a webhook can never be sent to this URL, judged by the URL alone. Returns `undefined` if nothing is wrong
 * with the URL.
 */
export function callbackUrlProblem(url: string, allowPrivate: boolean): string | undefined {
  const parsed = URL.parse(url);
  if (!parsed || url.length > 2048) return 'it is not a URL of at most 2048 characters';
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return 'it is neither http nor https';
  if (parsed.username || parsed.password) return 'it holds a user name or password';
  const literal = literalAddress(parsed);
  return literal && !allowPrivate && !isPublic(literal) ? notAllowed : undefined;
}

/**
 * Returns the address to connect to. The caller connects to this address, not to the name, because a second look-up of
 * the name could give another address. Throws an Error whose message is the reason.
 */
export async function resolveAddress(url: URL, allowPrivate: boolean): Promise<Address> {
  const literal = literalAddress(url);
  const found = literal ? [literal] : await lookup(url.hostname, { all: true });
  return chooseAddress(found as Address[], allowPrivate);
}

/**
 * Returns the first address of a host name. Throws if any of its addresses is private, unless private addresses are
 * allowed.
 */
export function chooseAddress(found: Address[], allowPrivate: boolean): Address {
  const [first] = found;
  if (!first) throw new Error('its host name has no address');
  if (!allowPrivate && !found.every(isPublic)) throw new Error(notAllowed);
  return first;
}

export function isPublic({ address, family }: Address): boolean {
  if (family === 4) return !notPublic.check(address, 'ipv4');
  return globalUnicast.check(address, 'ipv6') && !notPublic.check(address, 'ipv6');
}

/** Returns the address in the URL itself. Returns `undefined` if the URL's host is a name that must be looked up. */
function literalAddress(url: URL): Address | undefined {
  if (url.hostname === 'localhost' || url.hostname.endsWith('.localhost')) return { address: '127.0.0.1', family: 4 };
  const address = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(address);
  return family === 4 || family === 6 ? { address, family } : undefined;
}
