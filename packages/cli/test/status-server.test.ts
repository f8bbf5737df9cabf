import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../src/http/address.ts';
import { reasonNotReady } from '../src/http/routes.ts';
import { giveBack, makeRemovable, takeAway } from '../../../tests/support/removable.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import { ltxNames } from './support/replica.ts';
import { createDatabase, insertRows } from './support/database.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const SECRET = 'canary-secret-7f3a';

/** A daemon with two databases, one of which has no file yet, and the address of its status server. */
async function served(
  extra = '',
): Promise<{ url: string; folder: string; database: string; daemon: ReturnType<typeof start> }> {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  createDatabase(database, 3);
  makeRemovable(join(folder, 'replica'));
  const config = join(folder, 'litestream.yml');
  writeFileSync(
    config,
    `addr: 127.0.0.1:0\naccess-key-id: key\nsecret-access-key: ${SECRET}\n${extra}dbs:
  - {path: ${database}, min-checkpoint-page-count: 1, replica: {path: ${join(folder, 'replica')}, sync-interval: 10ms}}
  - {path: ${join(folder, 'missing.db')}, replica: {path: ${join(folder, 'other')}}}\n`,
  );
  const daemon = start(['replicate', '-config', config], { cwd: folder });
  await daemon.said(/serving metrics on" url=\S+/);
  const url = /serving metrics on" url=(\S+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
  return { url, folder, database, daemon };
}

async function get(url: string, options?: RequestInit): Promise<{ status: number; body: string; headers: Headers }> {
  const response = await fetch(url, options);
  return { status: response.status, body: await response.text(), headers: response.headers };
}

/** Value of one sample of the metrics page. */
async function metric(url: string, sample: string): Promise<number> {
  const { body } = await get(`${url}/metrics`);
  const line = body.split('\n').find((each) => each.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1) ?? Number.NaN);
}

describe('the status server', () => {
  test('serves metrics under upstream’s names, and follows what happens', async () => {
    const { url, database } = await served();
    const db = `{db="${database}"}`;
    await until(async () => (await metric(url, `litestream_txid${db}`)) >= 1, 'the first transaction');
    const before = await metric(url, `litestream_total_wal_bytes${db}`);
    insertRows(database, 3);
    await until(async () => (await metric(url, `litestream_queue_depth${db}`)) === 0, 'the replica to have it');
    await until(async () => (await metric(url, `litestream_total_wal_bytes${db}`)) > before, 'bytes of the log');
    await until(
      async () => (await metric(url, `litestream_checkpoint_count{db="${database}",mode="PASSIVE"}`)) > 0,
      'a checkpoint',
    );
    const { body, headers } = await get(`${url}/metrics`);
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(body).toContain('# TYPE litestream_replica_operation_errors_total counter');
    expect(
      await metric(url, 'litestream_replica_operation_total{replica_type="file",operation="PUT"}'),
    ).toBeGreaterThan(0);
    expect(
      await metric(url, 'litestream_replica_operation_bytes{replica_type="file",operation="PUT"}'),
    ).toBeGreaterThan(100);
    expect(await metric(url, `litestream_db_size${db}`)).toBeGreaterThan(4096);
    expect(await metric(url, `litestream_sync_lag_seconds${db}`)).toBeLessThan(60);
    // The first file held every page.
    expect(await metric(url, `litestream_proven_txid${db}`)).toBeGreaterThanOrEqual(1);
    expect(Date.now() / 1000 - (await metric(url, `litestream_proven_timestamp_seconds${db}`))).toBeLessThan(60);
    expect(body).not.toContain(SECRET);
  });

  test('shows what validation found, by level', async () => {
    const { url, database, folder } = await served('levels: [{interval: 1h}]\nvalidation: {interval: 100ms}\n');
    const replica = join(folder, 'replica');
    const checks = (level: number, result: string): Promise<number> =>
      metric(url, `litestream_validation_checks_total{db="${database}",level="${level}",result="${result}"}`);
    const last = (name: string): Promise<number> =>
      metric(url, `litestream_last_validation_success${name}{db="${database}",level="0"}`);
    expect((await get(`${url}/metrics`)).body).toContain('# TYPE litestream_validation_checks_total counter');
    await until(async () => (await checks(0, 'success')) > 0, 'the first check');
    expect(await checks(1, 'success')).toBeGreaterThan(0);
    expect(await last('')).toBe(1);
    const successAt = await last('_timestamp_seconds');
    expect(successAt).toBeGreaterThan(1.7e9);
    takeAway(replica);
    await until(async () => (await checks(0, 'error')) > 0, 'a check that could not be carried out');
    expect(await last('')).toBe(0);
    expect(await last('_timestamp_seconds')).toBeGreaterThanOrEqual(successAt);
    giveBack(replica);
    const before = await checks(0, 'success');
    await until(async () => (await checks(0, 'success')) > before, 'a check of the replica that is back');
    const files = (level: number): string[] => ltxNames(replica, level);
    await until(() => files(9).length > 0, 'the first snapshot');
    const count = files(0).length;
    await until(() => {
      insertRows(database, 1);
      return files(0).length >= count + 3;
    }, 'files of level 0 behind the snapshot');
    rmSync(join(replica, 'ltx', '0', files(0).at(-2) ?? ''));
    await until(async () => (await checks(0, 'invalid')) > 0, 'a check that found the gap');
  });

  test('shows nothing of a database that is stopped', async () => {
    const { url, database, folder } = await served(
      `socket: {enabled: true, path: s.sock}\nvalidation: {interval: 100ms}\n`,
    );
    const ofDatabase = async (): Promise<string[]> => {
      const { body } = await get(`${url}/metrics`);
      return body.split('\n').filter((line) => line.includes(`db="${database}"`));
    };
    await until(
      async () => (await ofDatabase()).some((line) => line.startsWith('litestream_validation_checks_total')),
      'a check',
    );
    const socket = ['-socket', 's.sock', database];
    expect(await run(['stop', ...socket], { cwd: folder })).toMatchObject({ exitCode: 0 });
    expect(await ofDatabase()).toEqual([]);
    expect(await run(['start', ...socket], { cwd: folder })).toMatchObject({ exitCode: 0 });
    await until(async () => (await ofDatabase()).length > 10, 'its metrics');
  });

  test('names and labels of metrics are those of the Go program, and no others but ours', async () => {
    const { url, database } = await served(
      'levels: [{interval: 1s}]\nvalidation: {interval: 1s}\nl0-retention: 100ms\nl0-retention-check-interval: 100ms\n',
    );
    // Level 0 is looked at once some of it is compacted.
    const retained = (status: string): Promise<number> =>
      metric(url, `litestream_l0_retention_files_total{db="${database}",status="${status}"}`);
    await until(async () => {
      insertRows(database, 1);
      const counts = await Promise.all(['eligible', 'not_compacted', 'too_recent'].map(retained));
      const checkpoints = await metric(url, `litestream_checkpoint_count{db="${database}",mode="PASSIVE"}`);
      const checked = await metric(url, `litestream_last_validation_success{db="${database}",level="0"}`);
      return checkpoints > 0 && checked === 1 && counts.some((count) => count > 0);
    }, 'a checkpoint, a look at level 0 and a validation');
    const { body } = await get(`${url}/metrics`);
    const labels = new Map<string, string>();
    for (const [, name = '', text = ''] of body.matchAll(/^(litestream_\w+?)(?:_sum)?(?:\{(.*)\})? \S+$/gm)) {
      if (/_(bucket|count)$/.test(name) && name.includes('_duration_')) continue;
      labels.set(name.replace('litestream_', ''), [...text.matchAll(/(\w+)="/g)].map(([, label]) => label).join(' '));
    }
    expect(Object.fromEntries(labels)).toEqual({
      // Go 0.5.18 prints these.
      db_size: 'db',
      wal_size: 'db',
      total_wal_bytes: 'db',
      txid: 'db',
      sync_count: 'db',
      sync_error_count: 'db',
      sync_seconds: 'db',
      disk_full: 'db',
      compaction_verify_error_count: 'db',
      checkpoint_count: 'db mode',
      checkpoint_error_count: 'db mode',
      checkpoint_seconds: 'db mode',
      replica_operation_total: 'replica_type operation',
      replica_operation_bytes: 'replica_type operation',
      replica_operation_duration_seconds: 'replica_type operation',
      l0_retention_files_total: 'db status',
      validation_checks_total: 'db level result',
      last_validation_success: 'db level',
      last_validation_success_timestamp_seconds: 'db level',
      // And these are ours.
      sync_lag_seconds: 'db',
      queue_depth: 'db',
      proven_txid: 'db',
      proven_timestamp_seconds: 'db',
      event_loop_delay_seconds: 'quantile',
    });
    // Nothing has failed yet, so it has no sample.
    expect(body).toContain('# TYPE litestream_replica_operation_errors_total counter');
  });

  test('tells the state of each database and the files of its replica', async () => {
    const { url, database, folder } = await served();
    interface Status {
      databases: { path: string; state: string; txid: string; replicas: { behind: number; url: string }[] }[];
    }
    const status = async (): Promise<Status> => JSON.parse((await get(`${url}/api/status`)).body) as Status;
    const isThere = async (): Promise<boolean> => {
      const [first] = (await status()).databases;
      return first !== undefined && !/^0+$/.test(first.txid) && first.replicas[0]?.behind === 0;
    };
    await until(isThere, 'everything on the replica');
    const { databases } = await status();
    expect(databases).toMatchObject([
      {
        path: database,
        state: 'open',
        error: null,
        replicas: [{ type: 'file', url: join(folder, 'replica'), error: null }],
      },
      { path: join(folder, 'missing.db'), state: 'waiting' },
    ]);
    const files = await get(`${url}/api/files?path=${encodeURIComponent(database)}`);
    expect(JSON.parse(files.body)).toMatchObject({
      levels: expect.arrayContaining([expect.objectContaining({ level: 0, more: false })]) as unknown,
    });
    expect((await get(`${url}/api/files?path=nowhere`)).status).toBe(404);
  });

  test('says whether it is alive, and whether all is replicated', async () => {
    const { url, folder } = await served();
    expect(await get(`${url}/healthz`)).toMatchObject({ status: 200, body: 'ok\n' });
    const missing = join(folder, 'missing.db');
    expect(await get(`${url}/readyz`)).toMatchObject({
      status: 503,
      body: expect.stringContaining(`${missing}: there is no database file yet`),
    });
    // Whole from the beginning: its table and its row may be two transactions for a daemon that looks in between.
    createDatabase(`${missing}.made`, 1);
    renameSync(`${missing}.made`, missing);
    await until(async () => (await get(`${url}/readyz`)).status === 200, 'the second database');
    expect((await get(`${url}/readyz?max-lag=1h`)).body).toMatch(
      /^ok\n(\S+\.db: proven up to TXID 0{15}1 at \S+\n){2}$/,
    );
  });

  test('only reads, and says where nothing is', async () => {
    const { url } = await served();
    expect(await get(`${url}/metrics`, { method: 'POST' })).toMatchObject({ status: 405 });
    expect(await get(`${url}/nothing`)).toMatchObject({ status: 404 });
    const page = await get(`${url}/`);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.body).not.toMatch(/(src|href)="?(https?:)?\/\//);
    expect((await get(`${url}/`, { method: 'HEAD' })).body).toBe('');
  });

  test('an address that is taken is logged, and replication goes on', async () => {
    const { url } = await served();
    const folder = scratchFolder();
    const database = join(folder, 'b.db');
    createDatabase(database, 1);
    const config = join(folder, 'litestream.yml');
    const replica = join(folder, 'replica');
    writeFileSync(
      config,
      `addr: ${url.replace('http://', '')}\ndbs: [{path: ${database}, replica: {path: ${replica}}}]\n`,
    );
    const daemon = start(['replicate', '-config', config]);
    await daemon.said(/level=ERROR msg="cannot start metrics server" error=.*in use/);
    expect((await daemon.stop()).exitCode).toBe(0);
    removeFolder(replica);
  });
});

test.each([
  [':9090', { host: undefined, port: 9090 }],
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  ['localhost:80', { host: 'localhost', port: 80 }],
  ['[::1]:9090', { host: '::1', port: 9090 }],
])('address %s', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
});

test.each(['9090', 'host', 'host:port', ':99999', 'a:b:1'])('%s is no address', (text) => {
  expect(() => parseAddress(text)).toThrow('not an address');
});

test('a database is ready while its last proof is young, or if it was stopped by request', () => {
  const nowMs = Date.UTC(2026, 0, 1);
  const report = {
    path: '/a',
    state: 'replicating',
    txid: 1n,
    replicas: [],
    lastError: undefined,
    db: { state: 'open' },
  };
  const at = (lastSyncAt: Date | undefined, more: object = {}): string | undefined =>
    reasonNotReady({ ...report, lastSyncAt, ...more } as never, 30_000, nowMs);
  expect(at(new Date(nowMs - 29_000))).toBeUndefined();
  expect(at(new Date(nowMs - 31_000))).toBe('last replicated 31 s ago');
  expect(at(undefined)).toBe('not replicated yet');
  expect(at(undefined, { state: 'stopped', db: undefined })).toBeUndefined();
  expect(at(undefined, { db: { state: 'waiting' } })).toBe('there is no database file yet');
  // One that stands by must be ready before the other one is told to end.
  expect(at(undefined, { db: { state: 'standby' } })).toBeUndefined();
});
