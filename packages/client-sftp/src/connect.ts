import { readFile } from 'node:fs/promises';

import { LitestreamError, loadSdk } from '@litestream/core';
import type { Client, ConnectConfig, SFTPWrapper, ServerHostKeyAlgorithm } from 'ssh2';

import { sftpError } from './errors.ts';
import { expandHome } from './home.ts';
import { hostCheck } from './host-key.ts';
import { CONNECT_TIMEOUT_MS } from './options.ts';
import type { SftpOptions } from './options.ts';
import { readablePrivateKey } from './private-key.ts';
import { SftpSession } from './session.ts';

/** Three unanswered keep-alives at this interval mean that the peer is gone. */
const KEEPALIVE_INTERVAL_MS = 5_000;
const KEEPALIVE_COUNT_MAX = 3;

/** Splits `name:port`, `[address]:port`, or either without a port. */
export function splitHost(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text);
  if (match === null) return { host: text, port: 22 }; // A bare IPv6 address.
  return { host: match[1] ?? match[2] ?? '', port: match[3] === undefined ? 22 : Number(match[3]) };
}

/** Connects, verifies the server's key, logs in and opens the SFTP channel. */
export async function connect(options: SftpOptions): Promise<SftpSession> {
  const { host, port } = splitHost(options.host);
  const check = await hostCheck(options, host, port);
  const login = await credentials(options);
  const { default: ssh2 } = await loadSdk('ssh2', () => import('ssh2'));
  const client = new ssh2.Client();
  let refusal: LitestreamError | undefined;
  try {
    const sftp = await openChannel(client, options.password, {
      host,
      port,
      username: options.user,
      ...login,
      readyTimeout: options.timeoutMs ?? CONNECT_TIMEOUT_MS,
      keepaliveInterval: KEEPALIVE_INTERVAL_MS,
      keepaliveCountMax: KEEPALIVE_COUNT_MAX,
      hostVerifier: (key: Buffer) => {
        refusal = check.verify(key);
        return refusal === undefined;
      },
      ...(check.algorithms === undefined
        ? {}
        : { algorithms: { serverHostKey: check.algorithms as ServerHostKeyAlgorithm[] } }),
    });
    return new SftpSession(client, sftp);
  } catch (error) {
    client.end();
    client.destroy();
    throw refusal ?? keyMismatch(error) ?? sftpError(error, `connect to ${options.host}`);
  }
}

/** All configured logins. */
async function credentials(options: SftpOptions): Promise<ConnectConfig> {
  const { password, keyPath, keyPassphrase } = options;
  const config: ConnectConfig = {};
  if (password !== undefined && password !== '') Object.assign(config, { password, tryKeyboard: true });
  if (keyPath !== undefined && keyPath !== '') {
    config.privateKey = readablePrivateKey(await readKey(keyPath), keyPassphrase);
    if (keyPassphrase !== undefined) config.passphrase = keyPassphrase;
  }
  if (options.agent !== undefined && options.agent !== '') config.agent = options.agent;
  return config;
}

async function readKey(keyPath: string): Promise<Buffer> {
  const path = expandHome(keyPath);
  try {
    return await readFile(path);
  } catch (error) {
    throw new LitestreamError(`cannot read sftp key path: ${path}`, {
      code: 'CONFIG_INVALID',
      backend: 'sftp',
      hint: 'Check key-path, and that this user may read the file.',
      cause: error,
    });
  }
}

function openChannel(client: Client, password: string | undefined, config: ConnectConfig): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) => {
      finish(prompts.map(() => password ?? ''));
    });
    client.on('error', reject);
    client.on('close', () => reject(new Error('Not connected')));
    client.on('ready', () => {
      client.sftp((error, sftp) => {
        if (error === undefined) resolve(sftp);
        else reject(error);
      });
    });
    try {
      client.connect(config);
      // Requests are small and wait for answers: Nagle's algorithm would cost 40 ms each.
      client.setNoDelay(true);
    } catch (error) {
      reject(invalidKey(error));
    }
  });
}

/** The library parses the private key before it connects, and throws if it cannot. */
function invalidKey(error: unknown): unknown {
  const message = error instanceof Error ? error.message : '';
  if (!/privateKey|passphrase/i.test(message)) return error;
  return new LitestreamError(`cannot parse sftp key path: ${message}`, {
    code: 'CONFIG_INVALID',
    backend: 'sftp',
    hint: 'Give a private key in OpenSSH or PEM format, and key-passphrase if it is encrypted.',
  });
}

/** Explains the library's "no matching algorithm": the server has no host key of the known kind. */
function keyMismatch(error: unknown): LitestreamError | undefined {
  const message = error instanceof Error ? error.message : '';
  if (!/no matching host key/i.test(message)) return undefined;
  return new LitestreamError('the SFTP server has no host key of the kind that is known', {
    code: 'UNAUTHORIZED',
    backend: 'sftp',
    hint: 'Compare host-key, or known_hosts, with the output of ssh-keyscan.',
  });
}
