/** Who may ask a server of ours: names that it answers to, and the token that a request shows. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import { hostname } from 'node:os';

/** A shorter one can be guessed by trying. */
export const TOKEN_LENGTH_MIN = 16;

/**
 * Does the request show this token: as `Authorization: Bearer TOKEN`, or as the password of a Basic login, which is what
 * a browser can ask its user for? The time that it takes says nothing about the token.
 */
export function showsToken({ headers }: Pick<IncomingMessage, 'headers'>, token: string): boolean {
  const [, scheme = '', value = ''] = /^(\w+) +(\S+) *$/.exec(headers.authorization ?? '') ?? [];
  const shown = scheme.toLowerCase() === 'basic' ? passwordOf(value) : scheme.toLowerCase() === 'bearer' ? value : '';
  return timingSafeEqual(digest(shown), digest(token));
}

/** Which names a web page may reach this server by, in a browser that runs where the server can be reached. */
export interface HostRule {
  /** What it listens on; undefined: every interface. */
  readonly bound: string | undefined;
  /** Further names that the config gives it. */
  readonly names: readonly string[];
}

/**
 * An address of the network in a `Host` header cannot have been rebound: a page would have to come from that very
 * address. A name can, unless it is one of this machine. Names without a dot (`litestream` in a container network) are
 * no names of the internet; where only this machine is served, they are refused as well.
 */
export function isAllowedHost(header: string | undefined, { bound, names }: HostRule): boolean {
  const name = hostOf(header ?? '');
  if (name === undefined) return false;
  if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return true;
  const own = [bound ?? '', hostname(), ...names].map((each) => each.toLowerCase());
  return own.includes(name) || (!name.includes('.') && !isLoopback(bound));
}

/** Does only this machine reach what listens there? */
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
