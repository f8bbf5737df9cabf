import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { LitestreamError } from '../src/util/error.ts';
import { Litestream } from '../src/litestream/litestream.ts';
import type { LitestreamEvents } from '../src/litestream/litestream-options.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { until } from '../../../tests/support/wait.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = temporaryFolder('class');
const seed = Number(process.env['SEED'] ?? (Math.random() * 2 ** 31) | 0);
let count = 0;
let folder = '';

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
});

function application(name = 'app.db', pageSize = 4096): DatabaseSync {
  const database = new DatabaseSync(join(folder, name));
  database.exec(`PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = wal`);
  database.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x BLOB)');
  return database;
}

function overwrite(path: string, offset: number, text: string): void {
  const script = 'printf %s "$TEXT" | dd of="$FILE" bs=1 seek="$OFFSET" conv=notrunc status=none';
  const environment = { ...process.env, FILE: path, OFFSET: String(offset), TEXT: text };
  const { status, stderr } = spawnSync('sh', ['-c', script], { env: environment, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

const countOf = (path: string): unknown => {
  const database = new DatabaseSync(path);
  const row = database.prepare('SELECT count(*) AS n, coalesce(sum(length(x)), 0) AS size FROM t').get();
  database.close();
  return { ...row };
};

describe('replicate and restore', () => {
  test('the whole way, on a folder', async () => {
    const app = application();
    const replica = join(folder, 'replica');
    await using litestream = new Litestream();
    const uploads: bigint[] = [];
    litestream.on('upload', ({ txid }) => uploads.push(txid));
    const db = await litestream.replicate(join(folder, 'app.db'), replica);
    app.exec('INSERT INTO t (x) VALUES (randomblob(5000))');
    await db.replicated();
    const copy = await litestream.restore(replica, { output: join(folder, 'one.db'), integrityCheck: 'full' });
    expect(countOf(copy.output)).toEqual({ n: 1, size: 5000 });
    expect(db.position).toEqual({ txid: copy.txid });
    expect(uploads.at(-1)).toBe(copy.txid);
    app.exec('INSERT INTO t (x) VALUES (randomblob(100)), (randomblob(1))');
    await litestream.stop();
    await litestream
      .restore(`file://${replica}`, { output: join(folder, 'two.db') })
      .then((result) => expect(countOf(result.output)).toEqual({ n: 3, size: 5101 }));
    expect(litestream.databases).toEqual([]);
    app.close();
  });

  test('the live database is compared with the checksum that its replica states', async () => {
    const app = application();
    const replica = join(folder, 'replica');
    // A snapshot or a compaction of the store would repair the replica, or take the place of its newest file.
    await using litestream = new Litestream({ store: false });
    const db = await litestream.replicate(join(folder, 'app.db'), replica);
    app.exec('INSERT INTO t (x) VALUES (randomblob(500000))');
    const proof = await db.verify();
    expect(proof).toEqual({ txid: db.position.txid, repairs: [], pageCount: expect.any(Number) as number });
    expect(proof.pageCount).toBeGreaterThan(100);

    // The replica states another checksum: the test changes a header, which no program of ours does.
    const files = join(replica, 'ltx', '0');
    const last = join(files, readdirSync(files).sort().at(-1) ?? '');
    const bytes = readFileSync(last);
    bytes[90] = (bytes[90] ?? 0) ^ 1;
    writeFileSync(last, bytes);
    await expect(db.verify()).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
    bytes[90] = (bytes[90] ?? 0) ^ 1;
    writeFileSync(last, bytes);
    await db.verify();
    app.close();
  });

  test('a verification repairs a replica that states another database', async () => {
    const app = application();
    const replica = join(folder, 'replica');
    await using litestream = new Litestream({ store: false });
    const proofs: LitestreamEvents['proven'][] = [];
    litestream.on('proven', (event) => proofs.push(event));
    const db = await litestream.replicate(join(folder, 'app.db'), replica);
    for (let size = 1000; size < 4000; size += 1000) {
      app.exec(`INSERT INTO t (x) VALUES (randomblob(${size}))`);
      await db.replicated();
    }
    const files = join(replica, 'ltx', '0');
    const last = join(files, readdirSync(files).sort().at(-1) ?? '');
    const bytes = readFileSync(last);
    bytes[90] = (bytes[90] ?? 0) ^ 1;
    writeFileSync(last, bytes);
    await expect(db.verify()).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
    await expect(db.verify({ repair: true })).resolves.toMatchObject({
      txid: db.position.txid,
      repairs: ['snapshot'],
    });
    expect(proofs.at(-1)).toMatchObject({ path: join(folder, 'app.db'), txid: db.position.txid });
    const restored = await litestream.restore(replica, { output: join(folder, 'out.db'), proof: 'required' });
    expect(countOf(restored.output)).toEqual(countOf(join(folder, 'app.db')));
    await expect(litestream.verify(replica)).resolves.toMatchObject({
      proven: true,
      newest: { txid: db.position.txid },
    });
    app.close();
  });

  test('a verification repairs pages that another program has changed', async () => {
    const path = join(folder, 'app.db');
    const writer = application();
    writer.exec('INSERT INTO t (x) VALUES (zeroblob(100000))');
    // Moves all pages to the database file: the WAL would hide a change of the file.
    writer.close();
    const app = application();
    await using litestream = new Litestream({ store: false });
    const db = await litestream.replicate(path, join(folder, 'replica'));
    await db.verify();
    const text = 'changed by a program other than SQLite';
    // Another process writes: closing a descriptor in this one would drop the locks of SQLite.
    overwrite(path, 50_000, text);
    await expect(db.verify({ repair: true })).resolves.toMatchObject({ repairs: ['pages'] });
    const { output } = await litestream.restore(join(folder, 'replica'), { output: join(folder, 'out.db') });
    expect(readFileSync(output).includes(text)).toBe(true);
    app.close();
  });

  test('restore drills prove the replica, report what they find, and leave no file', async () => {
    const app = application();
    const path = join(folder, 'app.db');
    const replica = join(folder, 'replica');
    app.exec('INSERT INTO t (x) VALUES (randomblob(5000))');
    await using litestream = new Litestream({ store: { drillIntervalMs: 200, levels: [] } });
    const drills: LitestreamEvents['drill'][] = [];
    const errors: unknown[] = [];
    litestream.on('drill', (event) => drills.push(event));
    litestream.on('error', ({ error }) => errors.push(error));
    const db = await litestream.replicate(path, replica);
    await db.replicated();
    const { txid } = db.position;
    await until('a drill', () => drills.some((drill) => drill.txid === txid && drill.isProven));
    expect(drills.at(-1)).toMatchObject({ path, isRestored: true });
    expect(errors).toEqual([]);

    // Without a further commit, this is the last file that the store writes. A later one would be sound.
    const filesOf = (level: string): string[] =>
      readdirSync(join(replica, 'ltx', level)).filter((each) => each.endsWith('.ltx'));
    await until('the first snapshot', () => existsSync(join(replica, 'ltx', '9')) && filesOf('9').length > 0);
    // Every file is damaged, so there is nothing left to restore.
    for (const level of readdirSync(join(replica, 'ltx'))) {
      for (const name of filesOf(level)) {
        const file = join(replica, 'ltx', level, name);
        const bytes = readFileSync(file);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        writeFileSync(file, bytes);
      }
    }
    await until('a drill that fails', () => errors.length > 0);
    await litestream.stop();
    expect(readdirSync(join(folder, '.app.db-litestream')).filter((name) => name.includes('drill'))).toEqual([]);
    app.close();
  });

  test(`every TXID is what the database was when it was acknowledged (SEED=${seed})`, async () => {
    const random = new Seeded(seed);
    for (const pageSize of [512, 4096, 65_536]) {
      const name = `app-${pageSize}.db`;
      const app = application(name, pageSize);
      const client = new MemoryClient();
      await using litestream = new Litestream({ store: false });
      const db = await litestream.replicate(join(folder, name), client, { minCheckpointPageN: 8 });
      const states = new Map<bigint, unknown>();
      for (let round = 0; round < 25; round++) {
        const kind = random.below(10);
        if (kind === 0) app.exec('VACUUM');
        else if (kind < 3) app.exec(`DELETE FROM t WHERE id % ${2 + random.below(4)} = 0`);
        else app.exec(`INSERT INTO t (x) VALUES (randomblob(${random.below(60_000)}))`);
        if (random.below(4) === 0)
          app.exec(`PRAGMA wal_checkpoint(${['PASSIVE', 'FULL', 'TRUNCATE'][random.below(3)]})`);
        await db.replicated();
        const row = app.prepare('SELECT count(*) AS n, coalesce(sum(length(x)), 0) AS size FROM t').get();
        states.set(db.position.txid, { ...row });
        if (random.below(8) === 0) await db.snapshot();
      }
      expect(states.size).toBeGreaterThan(10);
      await litestream.restore(client, { output: join(folder, `${pageSize}.db`), integrityCheck: 'full' });
      for (const [txid, state] of states) {
        const output = join(folder, `${pageSize}-${txid}.db`);
        await litestream.restore(client, { output, txid });
        expect(countOf(output)).toEqual(state);
      }
      app.close();
    }
  });

  test('a commit after quiet is on the replica by itself, at once', async () => {
    const app = application();
    const client = new MemoryClient();
    // Neither the next interval nor a sweep would find it before the test is over.
    const options = { syncIntervalMs: 3_600_000, monitorIntervalMs: 0 };
    {
      // All there is by now, so that nothing waits for that interval.
      await using earlier = new Litestream({ store: false });
      await (await earlier.replicate(join(folder, 'app.db'), client, options)).replicated();
    }
    await using litestream = new Litestream({ store: false });
    const db = await litestream.replicate(join(folder, 'app.db'), client, options);
    await db.replicated();
    const before = db.position.txid;
    const uploaded = new Promise<bigint>((resolve) => {
      litestream.on('upload', ({ txid }) => resolve(txid));
    });
    // Two hours of quiet.
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 2 * 3_600_000);
    onTestFinished(() => void vi.restoreAllMocks());
    app.exec("INSERT INTO t (x) VALUES ('now')");
    expect(await uploaded).toBe(before + 1n);
    expect(db.position.txid).toBe(before + 1n);
    app.close();
  });

  test('a database that does not exist yet is picked up when it appears', async () => {
    const client = new MemoryClient();
    await using litestream = new Litestream({ store: false });
    const db = await litestream.replicate(join(folder, 'app.db'), client, { monitorIntervalMs: 50 });
    await expect(db.replicated()).rejects.toMatchObject({ code: 'DATABASE_MISSING', hint: expect.any(String) });
    expect(db.position).toEqual({ txid: 0n });
    const app = application();
    app.exec("INSERT INTO t (x) VALUES ('first')");
    await db.replicated();
    expect(db.position.txid).toBeGreaterThan(0n);
    app.close();
  });

  test('goes on after a restart without a new snapshot', async () => {
    const app = application();
    const client = new MemoryClient();
    for (let round = 1; round <= 3; round++) {
      await using litestream = new Litestream({ store: false });
      const db = await litestream.replicate(join(folder, 'app.db'), client);
      app.exec('INSERT INTO t (x) VALUES (randomblob(30000))');
      await db.replicated();
    }
    const files = await Array.fromAsync(client.ltxFiles(0));
    const sizes = files.map((file) => file.size);
    expect(files.map((file) => file.maxTxid)).toEqual(files.map((_, index) => BigInt(index + 1)));
    expect(Math.max(...sizes.slice(1))).toBeLessThan(45_000);
    app.close();
  });
});

describe('what goes wrong', () => {
  test('uploads that fail are told, and tried again', async () => {
    const app = application();
    let left = 1;
    const client = new MemoryClient({
      before: (operation) => {
        if (operation === 'writeLtxFile' && left-- > 0) throw new LitestreamError('no', { code: 'UNAUTHORIZED' });
      },
    });
    await using litestream = new Litestream({ store: false });
    const failed = new Promise<LitestreamEvents['error']>((resolve) => litestream.on('error', resolve));
    const db = await litestream.replicate(join(folder, 'app.db'), client, { syncIntervalMs: 20 });
    expect(await failed).toMatchObject({ path: join(folder, 'app.db'), error: { code: 'UNAUTHORIZED' } });
    await db.replicated();
    expect(db.position.txid).toBeGreaterThan(0n);
    app.close();
  });

  test('not a database', async () => {
    writeFileSync(
      join(folder, 'app.db'),
      'this is not a database, but it is longer than a header would be '.repeat(30),
    );
    await using litestream = new Litestream();
    await expect(litestream.replicate(join(folder, 'app.db'), join(folder, 'replica'))).rejects.toMatchObject({
      code: 'DATABASE_INVALID',
    });
    expect(litestream.databases).toEqual([]);
    expect(readFileSync(join(folder, 'app.db'), 'utf8')).toMatch(/^this is not/);
  });

  test('a scheme without its plugin, the same database twice, and after the end', async () => {
    const app = application();
    const litestream = new Litestream({ store: false });
    await expect(litestream.replicate(join(folder, 'app.db'), 'nosuch://bucket/x')).rejects.toMatchObject({
      code: 'PLUGIN_MISSING',
    });
    const both = await Promise.allSettled([
      litestream.replicate(join(folder, 'app.db'), new MemoryClient()),
      litestream.replicate(join(folder, 'app.db'), new MemoryClient()),
    ]);
    expect(both.map((each) => each.status).sort()).toEqual(['fulfilled', 'rejected']);
    await litestream.stop();
    await expect(litestream.replicate(join(folder, 'app.db'), new MemoryClient())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    app.close();
  });

  test('what plain JavaScript gives wrongly is named', async () => {
    await using litestream = new Litestream();
    const path = join(folder, 'app.db');
    const bad = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('several replicas') };
    await expect(litestream.replicate(path, 'a', 'b' as unknown as object)).rejects.toMatchObject(bad);
    for (const [name, value] of [
      ['timestamp', '2020-01-01'],
      ['timestamp', new Date('never')],
      ['txid', 5],
    ] as const) {
      await expect(
        litestream.restore(join(folder, 'replica'), { output: path, [name]: value as never }),
      ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(`${name}: `) });
    }
  });

  test('a restore from an empty folder', async () => {
    await using litestream = new Litestream();
    const output = join(folder, 'out.db');
    await expect(litestream.restore(join(folder, 'none'), { output })).rejects.toMatchObject({ code: 'REPLICA_EMPTY' });
    expect(existsSync(join(folder, 'none'))).toBe(false);
    expect(existsSync(output)).toBe(false);
  });

  test('a listener that throws does not stop replication', async () => {
    const app = application();
    await using litestream = new Litestream({ store: false });
    const thrown = new Promise((resolve) => {
      const others = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const other of others) process.on('uncaughtException', other);
        resolve(error);
      });
    });
    const end = litestream.on('upload', () => {
      end();
      throw new Error('from the listener');
    });
    const db = await litestream.replicate(join(folder, 'app.db'), new MemoryClient());
    await db.replicated();
    expect(await thrown).toMatchObject({ message: 'from the listener' });
    expect(db.position.txid).toBeGreaterThan(0n);
    app.close();
  });
});
