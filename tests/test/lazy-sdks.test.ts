/** SDKs are large, and somebody who lists plugins or replicates to a folder has no use for them: they load on first use. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { repositoryRoot } from '../support/repository.ts';

/** A config of each backend for a server that is not there, and the SDK that meets it. */
const CLIENTS: readonly [client: string, sdk: string, config: Record<string, unknown>][] = [
  [
    'abs',
    '@azure/storage-blob',
    { bucket: 'b', endpoint: 'http://127.0.0.1:1/a', 'account-name': 'a', 'account-key': 'aw==' },
  ],
  ['gcs', '@google-cloud/storage', { bucket: 'b' }],
  ['nats', '@nats-io/transport-node', { bucket: 'b', server: 'nats://127.0.0.1:1', 'max-reconnects': 0 }],
  ['oss', 'ali-oss', { bucket: 'b', endpoint: 'http://127.0.0.1:1', 'access-key-id': 'a', 'secret-access-key': 's' }],
  [
    's3',
    '@aws-sdk/client-s3',
    { bucket: 'b', endpoint: 'http://127.0.0.1:1', 'access-key-id': 'a', 'secret-access-key': 's' },
  ],
  [
    'sftp',
    'ssh2',
    {
      host: '127.0.0.1:1',
      user: 'u',
      password: 'p',
      'host-key': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDguGv66PyFBUbvpSpqgWSekvLc4bhDozo4nqO+04ufH',
    },
  ],
  ['webdav', 'webdav', { 'webdav-url': 'http://127.0.0.1:1' }],
];

/** Run in a process of its own: prints the packages that were loaded to make a client, and then to use it. */
const PROGRAM = `
import { registerHooks } from 'node:module';
const packages = new Set();
registerHooks({
  load(url, context, next) {
    const name = url.split('/node_modules/').slice(1).at(-1)?.match(/^(@[^/]+\\/)?[^/]+/)?.[0];
    if (name !== undefined) packages.add(name);
    return next(url, context);
  },
});
const { silentLogger } = await import('@litestream/core');
packages.clear();
const [client, sdk, text] = process.argv.slice(-3);
const { default: make } = await import('@litestream/client-' + client);
const plugin = make();
const config = plugin.configSchema.parse(JSON.parse(text));
const replica = await plugin.create(config, { logger: silentLogger, env: {}, folder: '/' });
const made = [...packages];
// Whether it ends, and how, is not asked here.
void replica.init().catch(() => undefined);
while (!packages.has(sdk)) await new Promise(setImmediate);
console.log(JSON.stringify({ made, used: [...packages] }));
process.exit();
`;

test.each(CLIENTS)('client-%s loads %s when it connects, and not before', async (client, sdk, config) => {
  const args = ['--input-type=module', '-e', PROGRAM, '--', client, sdk, JSON.stringify(config)];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: `${repositoryRoot}/tests`,
    timeout: 120_000,
  });
  const { made, used } = JSON.parse(stdout) as { made: string[]; used: string[] };
  expect(made).toEqual([]);
  expect(used).toContain(sdk);
});
