import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { abs } from '@litestream/client-abs';
import { gcs } from '@litestream/client-gcs';
import { oss } from '@litestream/client-oss';
import { s3 } from '@litestream/client-s3';
import { sftp } from '@litestream/client-sftp';
import { webdav } from '@litestream/client-webdav';
import { LitestreamError, parseReplicaUrl, silentLogger } from '@litestream/core';
import type { LitestreamPlugin } from '@litestream/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Azurite } from '../../packages/client-abs/test/azurite.ts';
import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { OssTestServer } from '../../packages/client-oss/test/oss-server.ts';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';
import { ARN_URLS, REPLICA_URLS, YAML_PATHS, replicaUrlsPage } from '../replica-urls/table.ts';
import { repositoryRoot } from '../support/repository.ts';

/** Writes a file, reads it back through the listing and deletes it; gives the folder it lay in. */
async function placeOf(
  plugin: LitestreamPlugin<never>,
  config: Readonly<Record<string, unknown>>,
  names: () => Promise<string[]> | string[],
): Promise<string | undefined> {
  const context = { logger: silentLogger, env: {}, folder: '/' };
  const client = await plugin.create(plugin.configSchema.parse(config), context);
  await using _ = client;
  const file = { level: 0, minTxid: 1n, maxTxid: 1n, timestamp: new Date('2026-11-24T01:02:03.650Z') };
  const bytes = Buffer.from('bytes');
  await client.writeLtxFile(file, {
    size: bytes.byteLength,
    open: async function* () {
      yield bytes;
    },
  });
  const found = (await names()).filter((name) => name.endsWith('.ltx'));
  expect(await Array.fromAsync(client.ltxFiles(0, {}))).toMatchObject([{ minTxid: 1n, size: bytes.byteLength }]);
  const body = await client.openLtxFile(file, {});
  expect(Buffer.concat(await Array.fromAsync(body))).toEqual(bytes);
  await client.deleteAll();
  expect((await names()).filter((name) => name.endsWith('.ltx'))).toEqual([]);
  expect(found).toHaveLength(1);
  return found[0]?.slice(0, found[0].lastIndexOf('/') + 1);
}

function configOf(plugin: LitestreamPlugin<never>, url: string): Record<string, unknown> {
  const parsed = parseReplicaUrl(url);
  return plugin.configFromUrl?.(parsed) ?? { bucket: parsed.host, path: parsed.path };
}

const plugins = { s3: s3(), oss: oss(), gs: gcs(), abs: abs(), webdav: webdav(), sftp: sftp() } as unknown as Record<
  string,
  LitestreamPlugin<never>
>;

interface Server {
  readonly config: Readonly<Record<string, unknown>>;
  readonly names: () => Promise<string[]> | string[];
}

async function startServers(closing: AsyncDisposableStack): Promise<Record<string, Server>> {
  const s3Server = closing.use(await S3TestServer.start());
  const ossServer = closing.use(await OssTestServer.start());
  const gcsServer = closing.use(await GcsTestServer.start());
  const azurite = closing.use(await Azurite.start());
  const dav = closing.use(await WebdavTestServer.start());
  const keys = (id: string, secret: string): Record<string, string> => ({
    'access-key-id': id,
    'secret-access-key': secret,
  });
  return {
    s3: {
      config: { endpoint: s3Server.endpoint, ...keys(s3Server.accessKeyId, s3Server.secretAccessKey) },
      names: () => s3Server.keys(),
    },
    oss: {
      config: { endpoint: ossServer.endpoint, ...keys(ossServer.accessKeyId, ossServer.accessKeySecret) },
      names: () => ossServer.keys(),
    },
    gs: { config: { endpoint: gcsServer.endpoint }, names: () => [...gcsServer.objects.keys()] },
    abs: {
      config: {
        endpoint: azurite.endpoint,
        'account-name': azurite.accountName,
        'account-key': azurite.accountKey,
      },
      names: () => azurite.names(),
    },
    webdav: {
      config: { 'webdav-url': dav.url, 'webdav-username': dav.username, 'webdav-password': dav.password },
      names: () => [...dav.entries.keys()],
    },
  };
}

const closing = new AsyncDisposableStack();
let servers: Record<string, Server>;
beforeAll(async () => {
  servers = await startServers(closing);
});
afterAll(() => closing.disposeAsync());

describe.each(['s3', 'oss', 'gs', 'abs', 'webdav'] as const)('%s', (scheme) => {
  test.each(REPLICA_URLS)('a replica of scheme://bucket$after lies where Go has it', async (row) => {
    const plugin = plugins[scheme] as LitestreamPlugin<never>;
    const server = servers[scheme] as Server;
    const config = { ...configOf(plugin, `${scheme}://litestream${row.after}`), ...server.config };
    expect(await placeOf(plugin, config, server.names)).toBe(row[scheme === 'abs' ? 'gs' : scheme]);
  });
});

describe.each(['s3', 'oss'] as const)('%s', (scheme) => {
  test.each(YAML_PATHS)('path: $path is taken as it is', async (row) => {
    const plugin = plugins[scheme] as LitestreamPlugin<never>;
    const server = servers[scheme] as Server;
    const config = { bucket: 'litestream', path: row.path, ...server.config };
    expect(await placeOf(plugin, config, server.names)).toBe(row[scheme]);
  });
});

test.each(REPLICA_URLS)('sftp: a replica of scheme://host$after lies where Go has it', ({ after, sftp: folder }) => {
  const { path } = configOf(plugins['sftp'] as LitestreamPlugin<never>, `sftp://me@host${after}`);
  expect(join(typeof path === 'string' ? path : '', 'ltx/0/')).toBe(folder);
});

test.each(ARN_URLS)('the path of an access point$after', ({ after, path }) => {
  const arn = 'arn:aws:s3:us-east-2:123456789012:accesspoint/name';
  expect(configOf(plugins['s3'] as LitestreamPlugin<never>, `s3://${arn}${after}`)).toMatchObject({
    bucket: arn,
    path,
  });
});

test.each(['s3://me:pa#ss@host/a', 'sftp://me:pa?ss@host/a', 'webdav://me:pa/ss@host/a', 's3://host:port'])(
  'a URL whose port is no number shows nothing of itself',
  (url) => {
    const error = thrownBy(() => parseReplicaUrl(url));
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(error.message).not.toMatch(/pa|ss|me/);
  },
);

test('the page of backends shows the table', async () => {
  const page = await readFile(join(repositoryRoot, 'docs', 'reports', 'backends.md'), 'utf8');
  expect(page.includes(replicaUrlsPage()), 'npm run test:services -- page writes it').toBe(true);
});

function thrownBy(work: () => unknown): LitestreamError {
  try {
    work();
  } catch (error) {
    if (error instanceof LitestreamError) return error;
  }
  throw new Error('nothing was thrown');
}
