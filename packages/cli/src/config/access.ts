/** Decides which requests a server answers, by their host name and token. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import { hostname } from 'node:os';

/** A shorter token can be guessed by trying. */
export const TOKEN_LENGTH_MIN = 16;

/**
 * Whether the request carries this token: as `Authorization: Bearer TOKEN`, or as the password of a Basic login, for which a
 * browser asks its user. Compares in constant time.
 */
export function showsToken({ headers }: Pick<IncomingMessage, 'headers'>, token: string): boolean {
  const [, scheme = '', value = ''] = /^(\w+) +(\S+) *$/.exec(headers.authorization ?? '') ?? [];
  const shown = scheme.toLowerCase() === 'basic' ? passwordOf(value) : scheme.toLowerCase() === 'bearer' ? value : '';
  return timingSafeEqual(digest(shown), digest(token));
}

/** The host names that a server answers to. A web page in a browser may use any name that resolves to this machine. */
export interface HostRule {
  /** Address that the server listens on; undefined: every interface. */
  readonly bound: string | undefined;
  /** Further names from the config. */
  readonly names: readonly string[];
}

/**
 * DNS rebinding is impossible with an IP address in the `Host` header: the page would have to come from that address. It is
 * possible with a name that is not a name of this machine. Names without a dot (`litestream` in a container network) do not
 * exist on the internet; a server on loopback refuses them as well.
 */
export function isAllowedHost(header: string | undefined, { bound, names }: HostRule): boolean {
  const name = hostOf(header ?? '');
  if (name === undefined) return false;
  if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return true;
  const own = [bound ?? '', hostname(), ...names].map((each) => each.toLowerCase());
  return own.includes(name) || (!name.includes('.') && !isLoopback(bound));
}

/** Whether only this machine can reach a server at this address. */
export function isLoopback(host: string | undefined): boolean {
  return host !== undefined && (host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.')));
}

/** The name without port and brackets, in lower case. */
function hostOf(header: string): string | undefined {
  const [, bracketed, bare] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d+)?$/.exec(header) ?? [];
  return (bracketed ?? bare)?.toLowerCase();
}

function passwordOf(login: string): string {
  const text = Buffer.from(login, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
