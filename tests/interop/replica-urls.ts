/** Where Litestream (Go) puts a replica that a URL names, over the table that our clients are held to. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { Azurite } from '../../packages/client-abs/test/azurite.ts';
import { OssTestServer } from '../../packages/client-oss/test/oss-server.ts';
import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';
import { REPLICA_URLS } from '../replica-urls/table.ts';
import type { ReplicaUrlRow, UrlScheme } from '../replica-urls/table.ts';
import type { InteropCase, InteropContext } from './case.ts';

interface Place {
  readonly scheme: UrlScheme;
  readonly server: AsyncDisposable;
  readonly authority: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly names: () => Promise<string[]> | string[];
  readonly clear: () => Promise<void> | void;
}

export const replicaUrls: InteropCase = {
  name: 'urls name the same places',
  run: async (context) => {
    let count = 0;
    for (const open of [openS3, openOss, openAbs, openWebdav]) {
      const place = await open();
      await using _ = place.server;
      for (const row of REPLICA_URLS) {
        // The service refuses what Go asks for.
        if (place.scheme === 'oss' && row.oss === '0000/') continue;
        await comparePlace(context, place, row);
        count += 1;
      }
    }
    return `${count} URLs`;
  },
};

async function comparePlace(context: InteropContext, place: Place, row: ReplicaUrlRow): Promise<void> {
  const { scheme, authority, settings } = place;
  const url = `${scheme}://${authority}${row.after}`;
  await place.clear();
  const database = join(context.folder, 'app.db');
  const config = join(context.folder, 'urls.yml');
  for (const name of ['app.db', 'app.db-wal', 'app.db-shm', '.app.db-litestream']) {
    await rm(join(context.folder, name), { recursive: true, force: true });
  }
  using sqlite = new DatabaseSync(database);
  sqlite.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)');
  await writeFile(config, JSON.stringify({ dbs: [{ path: database, replica: { url, ...settings } }] }));
  await context.go.start('replicate', '-once', '-config', config).done();
  const found = (await place.names()).filter((name) => name.endsWith('.ltx'));
  const folders = new Set(found.map((name) => name.slice(0, name.lastIndexOf('/') + 1)));
  const expected = row[scheme === 'abs' ? 'gs' : scheme];
  if ([...folders].join(' ') !== expected) throw new Error(`${url}: Go has ${[...folders].join(' ')}, not ${expected}`);
  if (row.after !== '') return;
  const copy = join(context.folder, `${scheme}-copy.db`);
  await context.ts.start('restore', '-o', copy, '-config', config, database).done();
  using restored = new DatabaseSync(copy, { readOnly: true });
  if (restored.prepare('SELECT x FROM t').get()?.['x'] !== 1) throw new Error(`${url}: another content is restored`);
}

async function openS3(): Promise<Place> {
  const server = await S3TestServer.start();
  const keys = { 'access-key-id': server.accessKeyId, 'secret-access-key': server.secretAccessKey };
  return {
    scheme: 's3',
    server,
    authority: 'litestream',
    settings: { endpoint: server.endpoint, region: server.region, ...keys },
    names: () => server.keys(),
    clear: () => server.buckets.get('litestream')?.clear(),
  };
}

async function openOss(): Promise<Place> {
  const server = await OssTestServer.start();
  const keys = { 'access-key-id': server.accessKeyId, 'secret-access-key': server.accessKeySecret };
  return {
    scheme: 'oss',
    server,
    authority: 'litestream',
    settings: { endpoint: server.endpoint, region: server.region, ...keys },
    names: () => server.keys(),
    clear: () => server.buckets.get('litestream')?.clear(),
  };
}

async function openAbs(): Promise<Place> {
  const server = await Azurite.start();
  const { accountName, accountKey, endpoint } = server;
  return {
    scheme: 'abs',
    server,
    authority: 'litestream',
    settings: { endpoint, 'account-name': accountName, 'account-key': accountKey },
    names: () => server.names(),
    clear: async () => {
      for (const name of await server.names()) await server.container.deleteBlob(name);
    },
  };
}

async function openWebdav(): Promise<Place> {
  const server = await WebdavTestServer.start();
  return {
    scheme: 'webdav',
    server,
    authority: new URL(server.url).host,
    settings: { 'webdav-username': server.username, 'webdav-password': server.password },
    names: () => [...server.entries.keys()],
    clear: () => {
      for (const name of server.entries.keys()) if (name !== '') server.entries.delete(name);
    },
  };
}
