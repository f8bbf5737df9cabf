import { LitestreamError } from '@litestream/core';

import { expandHome } from './home.ts';
import { defaultKnownHostsFiles, parseHostKeys, readKnownHost } from './known-hosts.ts';
import type { HostKey } from './known-hosts.ts';
import type { SftpOptions } from './options.ts';

/** Decides whether the server that answers is the intended one. */
export interface HostCheck {
  /** Signature algorithms to request, so that the server presents the known key. `undefined`: the library's own list. */
  readonly algorithms: readonly string[] | undefined;
  /** `undefined` if the key (SSH wire form) is right, otherwise the error to throw. */
  verify(key: Buffer): LitestreamError | undefined;
}

/**
 * The check for these options: against `hostKey` if it is set, otherwise against the known hosts. Refuses an unknown server,
 * because an impostor would get the data.
 */
export async function hostCheck(options: SftpOptions, host: string, port: number): Promise<HostCheck> {
  if (options.hostKey !== undefined && options.hostKey !== '') return checkFixed(options.hostKey);
  if (options.skipVerify === true) return { algorithms: undefined, verify: () => undefined };
  const files = options.knownHostsPath === undefined ? defaultKnownHostsFiles() : [expandHome(options.knownHostsPath)];
  const { trusted, revoked } = await readKnownHost(files, host, port);
  return {
    algorithms: trusted.length === 0 ? undefined : algorithmsOf(trusted),
    verify: (key) => {
      if (has(revoked, key)) return refusal('the host key of the SFTP server is revoked', undefined);
      if (has(trusted, key)) return undefined;
      if (trusted.length > 0) {
        return refusal(
          'the host key of the SFTP server is not the known one',
          `Another server may be answering in its place. If the key was changed on purpose, correct ${files[0]}.`,
        );
      }
      return refusal(
        'the host key of the SFTP server is unknown',
        `If this is its key, put it into the replica's config: host-key: "${publicKeyText(key)}"`,
      );
    },
  };
}

/** `ALGORITHM BASE64`, as in config files and `known_hosts`. */
export function publicKeyText(key: Buffer): string {
  return `${key.toString('latin1', 4, 4 + key.readUInt32BE(0))} ${key.toString('base64')}`;
}

function checkFixed(text: string): HostCheck {
  const expected = parseHostKeys(text);
  if (expected.length === 0) {
    throw new LitestreamError('cannot parse sftp host key', {
      code: 'CONFIG_INVALID',
      hint: 'Give host-key as ssh-keyscan prints it: ssh-ed25519 AAAA…',
    });
  }
  return {
    algorithms: algorithmsOf(expected),
    verify: (key) =>
      has(expected, key)
        ? undefined
        : refusal(
            'the host key of the SFTP server is not the configured one',
            `Another server may be answering in its place. The server shows: ${publicKeyText(key)}`,
          ),
  };
}

function has(keys: readonly HostKey[], key: Buffer): boolean {
  return keys.some(({ blob }) => blob.equals(key));
}

/** An RSA key signs with three algorithms, of which current servers accept the newer two (RFC 8332). */
function algorithmsOf(keys: readonly HostKey[]): string[] {
  const names = keys.flatMap(({ algorithm }) =>
    algorithm === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [algorithm],
  );
  return [...new Set(names)];
}

function refusal(message: string, hint: string | undefined): LitestreamError {
  return new LitestreamError(message, { code: 'UNAUTHORIZED', backend: 'sftp', hint });
}
