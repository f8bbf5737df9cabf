/**
 * Replica URLs as Litestream (Go) reads them: `scheme://[user[:password]@]host/path?query`, S3 ARNs, and plain paths.
 */
import { posix, resolve } from 'node:path';

import { redact, urlSecrets } from '../storage/errors/redact.ts';
import { LitestreamError } from '../util/error.ts';

export interface ReplicaUrl {
  /** Lower case. `file` for a plain path. */
  readonly scheme: string;
  /** Host with its port, an ARN, or empty. */
  readonly host: string;
  /** Cleaned and decoded, without a leading slash; for `file` the absolute path on this machine. */
  readonly path: string;
  /** false: the URL ends with its host. On S3 and OSS, Litestream (Go) stores such a replica elsewhere than with a slash. */
  readonly hasPath?: boolean | undefined;
  readonly query: ReadonlyMap<string, string>;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** The URL without credentials, safe to show. */
  readonly text: string;
}

const URL_SHAPE = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is;
const ARN_SHAPE = /^(arn:[^/?]*:accesspoint\/[^/?]+)(?:\/([^?]*))?$/i;
const HOST_SHAPE = /^(?:\[[^\]]*\]|[^:[\]]*)(?::\d*)?$/;
/**
 * Not allowed in a host. URL parsers end a host at `\`, so a client that builds a URL with it would connect to another
 * server.
 */
const NOT_IN_HOST = /[\p{Cc}\s\\<>^|"`{}]/u;

/** Is it a URL, and not a path? `C:\data` is a path. */
export function isReplicaUrl(text: string): boolean {
  return URL_SHAPE.test(text);
}

/**
 * Reads a URL or a path. A relative path starts from `folder`. Throws `CONFIG_INVALID` for text that it cannot parse.
 * Its message names only the scheme: a part of a URL that cannot be read may be a part of a password.
 */
export function parseReplicaUrl(text: string, folder: string = process.cwd()): ReplicaUrl {
  const [, rawScheme = 'file', rest = text] = URL_SHAPE.exec(text) ?? [];
  const scheme = rawScheme.toLowerCase();
  if (text.trim() === '') throw invalid('the replica URL is empty', text);
  if (scheme === 'file') return parseFile(isReplicaUrl(text) ? cutQuery(rest) : rest, folder, text, isReplicaUrl(text));

  const isArn = /^arn:/i.test(rest);
  // An ARN is no URL: Litestream (Go) takes the text after it unchanged.
  const [location, search = ''] = split(isArn ? rest : (rest.split('#')[0] ?? ''), '?');
  const query = new Map(new URLSearchParams(search));
  if (isArn) {
    const [, host, path = ''] = ARN_SHAPE.exec(location) ?? [];
    if (host === undefined) throw invalid('the access point ARN is incomplete', text);
    return { scheme, host, path: cleanPath(path), hasPath: true, query, text: shown(text) };
  }

  const slashAt = location.indexOf('/');
  const authority = slashAt === -1 ? location : location.slice(0, slashAt);
  const at = authority.lastIndexOf('@');
  const [username, password] = at === -1 ? [] : split(authority.slice(0, at), ':');
  const host = authority.slice(at + 1);
  if (NOT_IN_HOST.test(host))
    throw invalid('the host in the replica URL has a character that is not allowed there', text);
  if (!host.split(',').every((part) => HOST_SHAPE.test(part))) {
    throw invalid('the port in the replica URL is not a number', text);
  }
  return {
    scheme,
    host,
    path: cleanPath(decode(slashAt === -1 ? '' : location.slice(slashAt + 1), text)),
    hasPath: slashAt !== -1,
    query,
    username: username === undefined ? undefined : decode(username, text),
    password: password === undefined ? undefined : decode(password, text),
    text: shown(text),
  };
}

function parseFile(rest: string, folder: string, text: string, isUrl: boolean): ReplicaUrl {
  const path = isUrl ? decode(rest, text) : rest;
  if (path === '') throw invalid('the replica path is empty', text);
  // `file://data/app` names no host: Litestream (Go) reads it as the absolute path /data/app.
  return {
    scheme: 'file',
    host: '',
    path: resolve(folder, isUrl ? `/${path}` : path),
    query: new Map(),
    text: shown(text),
  };
}

function cleanPath(path: string): string {
  const cleaned = posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, '');
  return cleaned === '.' ? '' : cleaned;
}

function cutQuery(rest: string): string {
  const at = rest.indexOf('?');
  return at === -1 ? rest : rest.slice(0, at);
}

function split(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(part: string, text: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid('the replica URL has a broken % escape', text);
  }
}

/** The text without credentials. */
function shown(text: string): string {
  return redact(text, urlSecrets(text));
}

function invalid(message: string, text: string): LitestreamError {
  const [, scheme] = URL_SHAPE.exec(text) ?? [];
  return new LitestreamError(scheme === undefined ? message : `${message}: ${scheme}://…`, {
    code: 'CONFIG_INVALID',
    hint: 'Write it as scheme://host/path, or as a path for a folder on this machine. In a user name, a password or a path, write % as %25, / as %2F, # as %23, ? as %3F and @ as %40.',
  });
}
