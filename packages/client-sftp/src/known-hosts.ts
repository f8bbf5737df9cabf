/** Host keys that a user trusts, in the format of OpenSSH's `known_hosts` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** One public key: its algorithm's name and its SSH wire form. */
export interface HostKey {
  readonly algorithm: string;
  readonly blob: Buffer;
}

/** The keys of one host in the files. */
export interface KnownHost {
  readonly trusted: readonly HostKey[];
  readonly revoked: readonly HostKey[];
}

/** Files to read if none is configured. */
export function defaultKnownHostsFiles(): string[] {
  return [join(homedir(), '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'];
}

/** Reads `ALGORITHM BASE64 [COMMENT]`. `undefined` if it is not a public key. */
export function parsePublicKey(text: string): HostKey | undefined {
  const [algorithm, base64] = text.trim().split(/\s+/);
  if (algorithm === undefined || base64 === undefined) return undefined;
  const blob = Buffer.from(base64, 'base64');
  // The wire form begins with the algorithm's name, so truncated or foreign text does not pass.
  if (blob.length < 4 + algorithm.length || blob.readUInt32BE(0) !== algorithm.length) return undefined;
  return blob.toString('latin1', 4, 4 + algorithm.length) === algorithm ? { algorithm, blob } : undefined;
}

/**
 * The keys of a text in the format of `ssh-keyscan`, one a line. Ignores hosts before a key, plain or hashed, comments after
 * it, and lines with a marker such as `@revoked`.
 */
export function parseHostKeys(text: string): HostKey[] {
  return text.split(/\r?\n/).flatMap((line) => {
    if (/^\s*[#@]/.test(line)) return [];
    const [, rest = ''] = /^\s*\S+\s+(.*)$/.exec(line) ?? [];
    return parsePublicKey(line) ?? parsePublicKey(rest) ?? [];
  });
}

/** All keys of a host in the files. A missing file counts as empty. */
export async function readKnownHost(files: readonly string[], host: string, port: number): Promise<KnownHost> {
  const trusted: HostKey[] = [];
  const revoked: HostKey[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    for (const line of text.split('\n')) {
      const entry = parseLine(line, host, port);
      if (entry !== undefined) (entry.revoked ? revoked : trusted).push(entry.key);
    }
  }
  return { trusted, revoked };
}

function parseLine(line: string, host: string, port: number): { key: HostKey; revoked: boolean } | undefined {
  const fields = line.trim().split(/\s+/);
  if (fields[0] === undefined || fields[0] === '' || fields[0].startsWith('#')) return undefined;
  const marker = fields[0].startsWith('@') ? fields.shift() : undefined;
  // The SSH library does not support certificates; their line must not count as a plain key.
  if (marker === '@cert-authority') return undefined;
  const [patterns = '', ...rest] = fields;
  if (!matches(patterns, host, port)) return undefined;
  const key = parsePublicKey(rest.join(' '));
  return key === undefined ? undefined : { key, revoked: marker === '@revoked' };
}

function matches(patterns: string, host: string, port: number): boolean {
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
  if (patterns.startsWith('|1|')) {
    const [, , salt = '', hash = ''] = patterns.split('|');
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  let found = false;
  for (const pattern of patterns.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!wildcard(negated ? pattern.slice(1) : pattern).test(name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

function wildcard(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`);
}
