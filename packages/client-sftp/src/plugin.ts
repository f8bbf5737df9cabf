import { isAbsolute, resolve } from 'node:path';

import { ConfigReader, LitestreamError, definePlugin } from '@litestream/core';
import type { LitestreamPlugin, ReplicaUrl } from '@litestream/core';

import type { SftpOptions } from './options.ts';
import { SftpReplicaClient } from './sftp-client.ts';

/** The plugin for `type: sftp` and `sftp://`. */
export function sftp(): LitestreamPlugin<SftpOptions> {
  return definePlugin({
    name: '@litestream/client-sftp',
    apiVersion: 1,
    schemes: ['sftp'],
    types: ['sftp'],
    configSchema: { parse: parseSftpConfig },
    configFromUrl: sftpConfigFromUrl,
    create: (options, { env, folder }) =>
      new SftpReplicaClient({
        ...options,
        agent: options.agent ?? agentOf(options, env),
        keyPath: fromFolder(options.keyPath, folder),
        knownHostsPath: fromFolder(options.knownHostsPath, folder),
      }),
  });
}

export default sftp;

/** Validates a config from YAML or from a URL. Fields of other backends are allowed and ignored. */
export function parseSftpConfig(config: unknown): SftpOptions {
  const read = new ConfigReader(config, 'sftp');
  const hostKey = read.string('host-key');
  if (hostKey !== undefined && read.boolean('skip-verify') === true) {
    throw new LitestreamError('cannot specify host-key & skip-verify for sftp replica', {
      code: 'CONFIG_INVALID',
      backend: 'sftp',
    });
  }
  return {
    host: read.required('host'),
    user: read.required('user'),
    path: read.string('path'),
    password: read.string('password'),
    keyPath: read.string('key-path'),
    keyPassphrase: read.string('key-passphrase'),
    agent: read.string('agent'),
    hostKey,
    knownHostsPath: read.string('known-hosts-path'),
    skipVerify: read.boolean('skip-verify'),
    concurrentWrites: read.boolean('concurrent-writes'),
  };
}

/**
 * `sftp://user[:password]@host[:port][/path]`. The path is absolute, and `/` is the root; without a slash the replica is in
 * the folder of the login.
 */
export function sftpConfigFromUrl(url: ReplicaUrl): Record<string, unknown> {
  return {
    host: url.host,
    user: url.username,
    password: url.password,
    path: url.hasPath === false ? undefined : `/${url.path}`,
    ...Object.fromEntries(url.query),
  };
}

/** The agent of the environment is used only if no other login is configured. */
function agentOf(options: SftpOptions, env: Readonly<Record<string, string | undefined>>): string | undefined {
  return options.password === undefined && options.keyPath === undefined ? env['SSH_AUTH_SOCK'] : undefined;
}

function fromFolder(path: string | undefined, folder: string): string | undefined {
  return path === undefined || isAbsolute(path) || path.startsWith('~/') ? path : resolve(folder, path);
}
