/** A database with several replicas, through the public class, on real files. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import Database from 'better-sqlite3';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { betterSqlite3, FileClient, hasCode, Litestream, LitestreamError, nodeSqlite } from '../src/index.ts';
import type { LitestreamEvents, LitestreamOptions, ReplicatedDatabase, SqliteDriver } from '../src/index.ts';
import { MemoryClient } from '../src/testing/index.ts';
import { until } from '../../../tests/support/wait.ts';
import { SwitchClient } from './helpers/switch-client.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const root = temporaryFolder('several');
let count = 0;
let folder = '';
let path = '';

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  path = join(folder, 'app.db');
});

interface Application {
  exec(sql: string): void;
  /** Rows of the table `t`, as text. Reads with the library of the application: another one would drop its locks. */
  rows(): string;
}

const ROWS = 'SELECT id, hex(x) AS x FROM t ORDER BY id';

const libraries: { readonly name: string; readonly driver: SqliteDriver; readonly open: () => Application }[] = [
  {
    name: 'node:sqlite',
    driver: nodeSqlite,
    open: () => {
      const database = new DatabaseSync(path);
      onTestFinished(() => database.close());
      return { exec: (sql) => database.exec(sql), rows: () => JSON.stringify(database.prepare(ROWS).all()) };
    },
  },
  {
    name: 'better-sqlite3',
    driver: betterSqlite3(Database),
    open: () => {
      const database = new Database(path);
      onTestFinished(() => void database.close());
      return { exec: (sql) => void database.exec(sql), rows: () => JSON.stringify(database.prepare(ROWS).all()) };
    },
  },
];

function application(open = libraries[0]?.open): Application {
  if (open === undefined) throw new Error('no library');
  const app = open();
  app.exec('PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x BLOB)');
  return app;
}

const insert = (app: Application, bytes = 1000): void => app.exec(`INSERT INTO t (x) VALUES (randomblob(${bytes}))`);

/** Makes a commit, and waits until one of the replicas has it. */
async function insertInto(app: Application, db: ReplicatedDatabase, index: number): Promise<void> {
  const position = (): bigint => db.status().replicas[index]?.position.txid ?? 0n;
  const before = position();
  insert(app);
  await until('the replica has it', () => position() > before);
}

function start(options: LitestreamOptions = {}): Litestream {
  const litestream = new Litestream(options);
  onTestFinished(async () => await litestream.stop({ finalSync: false }).catch(() => undefined));
  return litestream;
}

/** A replica folder with a client that can be disconnected. */
function place(name: string): { readonly client: SwitchClient; readonly folder: string } {
  const at = join(folder, name);
  return { client: new SwitchClient(new FileClient({ path: at })), folder: at };
}

let restored = 0;

/** Restores a replica, and returns its rows as text. */
async function rowsOf(source: string): Promise<string> {
  await using litestream = new Litestream();
  const { output } = await litestream.restore(source, {
    output: join(folder, `restored-${restored++}.db`),
    proof: 'required',
  });
  return rowsIn(output);
}

function rowsIn(file: string): string {
  const database = new DatabaseSync(file);
  const rows = database.prepare(ROWS).all();
  database.close();
  return JSON.stringify(rows);
}

const filesOf = (replica: string, level: number): string[] => {
  const at = join(replica, 'ltx', String(level));
  return existsSync(at) ? readdirSync(at).sort() : [];
};

describe.each(libraries)('with $name', ({ driver, open }) => {
  test('acknowledges a commit once every replica has it, and reports the state of each', async () => {
    const app = application(open);
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    const litestream = start({ driver });
    const db = await litestream.replicate(path, [one, `file://${two}`]);
    for (let round = 0; round < 2; round++) {
      insert(app);
      await db.replicated();
      for (const source of [one, two]) expect(await rowsOf(source)).toBe(app.rows());
    }
    const { replica, replicas } = db.status();
    expect(replicas.map(({ name, type, position }) => [name, type, position])).toEqual([
      [one, 'file', db.position],
      [`file://${two}`, 'file', db.position],
    ]);
    expect(replica).toMatchObject({ position: db.position, lastError: undefined });
  });

  test('continues with one replica while the other is down, and acknowledges once it is back', async () => {
    const app = application(open);
    const [up, down] = [place('up'), place('down')];
    const litestream = start({ driver });
    const errors: LitestreamEvents['error'][] = [];
    const uploads: LitestreamEvents['upload'][] = [];
    litestream.on('error', (event) => errors.push(event));
    litestream.on('upload', (event) => uploads.push(event));
    const db = await litestream.replicate(path, [up.client, down.client]);
    insert(app);
    await db.replicated();
    down.client.isDown = true;
    const before = db.position.txid;
    insert(app);
    await expect(db.replicated()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await until('the other replica has it', () => (db.status().replicas[0]?.position.txid ?? 0n) > before);
    expect(await rowsOf(up.folder)).toBe(app.rows());
    await until('the failure is reported', () => errors.length > 0);
    expect(db.position.txid).toBe(before);
    expect(db.status()).toMatchObject({
      replica: { lastError: { code: 'UNAVAILABLE' } },
      replicas: [{ lastError: undefined }, { lastError: { code: 'UNAVAILABLE' } }],
    });
    down.client.isDown = false;
    await db.replicated();
    expect(await rowsOf(down.folder)).toBe(app.rows());
    expect(db.status().replicas.map(({ lastError }) => lastError)).toEqual([undefined, undefined]);
    // It continued where it was: no gap, and no second snapshot.
    const missing = filesOf(up.folder, 0).filter((name) => !filesOf(down.folder, 0).includes(name));
    expect(missing).toEqual([]);
    expect(uploads.every((event) => event.replica === 'file')).toBe(true);
  });
});

describe('acknowledgement', () => {
  test('waits for a slow replica after the other has the commit', async () => {
    const app = application();
    const gate = Promise.withResolvers<void>();
    let isSlow = false;
    class Slow extends MemoryClient {
      override async writeLtxFile(
        ...args: Parameters<MemoryClient['writeLtxFile']>
      ): ReturnType<MemoryClient['writeLtxFile']> {
        if (isSlow) await gate.promise;
        return await super.writeLtxFile(...args);
      }
    }
    const litestream = start();
    const db = await litestream.replicate(path, [join(folder, 'quick'), new Slow()]);
    await db.replicated();
    isSlow = true;
    const before = db.position.txid;
    insert(app);
    let isAcknowledged = false;
    const acknowledged = db.replicated().then(() => (isAcknowledged = true));
    await until('the quick replica has it', () => (db.status().replicas[0]?.position.txid ?? 0n) > before);
    expect(await rowsOf(join(folder, 'quick'))).toBe(app.rows());
    expect(isAcknowledged).toBe(false);
    expect(db.position.txid).toBe(before);
    gate.resolve();
    await acknowledged;
    expect(db.position.txid).toBeGreaterThan(before);
  });

  test('rejects with DATABASE_MISSING if there is no database', async () => {
    const litestream = start();
    const db = await litestream.replicate(path, [join(folder, 'one'), join(folder, 'two')]);
    await expect(db.replicated()).rejects.toMatchObject({ code: 'DATABASE_MISSING' });
  });

  test('stopping rejects with the failure of one replica, after the other has everything', async () => {
    const app = application();
    const [up, down] = [place('up'), place('down')];
    const litestream = start();
    const db = await litestream.replicate(path, [down.client, up.client]);
    await db.replicated();
    down.client.isDown = true;
    insert(app);
    const failure: unknown = await litestream.stop({ timeoutMs: 0 }).catch((error: unknown) => error);
    expect(hasCode(failure, 'UNAVAILABLE')).toBe(true);
    expect(await rowsOf(up.folder)).toBe(app.rows());
    down.client.isDown = false;
    const again = start();
    await (await again.replicate(path, [down.client, up.client])).replicated();
    expect(await rowsOf(down.folder)).toBe(app.rows());
  });
});

describe('start', () => {
  test('needs one replica that answers', async () => {
    application();
    const [one, two] = [place('one'), place('two')];
    one.client.isDown = true;
    two.client.isDown = true;
    const litestream = start();
    const errors: LitestreamEvents['error'][] = [];
    litestream.on('error', (event) => errors.push(event));
    await expect(litestream.replicate(path, [one.client, two.client])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(litestream.databases).toEqual([]);
    two.client.isDown = false;
    const db = await litestream.replicate(path, [one.client, two.client]);
    expect(errors[0]).toMatchObject({ path, replica: 'file', error: { code: 'UNAVAILABLE' } });
    one.client.isDown = false;
    await db.replicated();
    expect(await rowsOf(one.folder)).toBe(await rowsOf(two.folder));
  });

  test('does not wait for a replica that never answers', async () => {
    const app = application();
    const client = new MemoryClient();
    client.init = () => new Promise(() => undefined);
    const litestream = start();
    const db = await litestream.replicate(path, [client, join(folder, 'one')]);
    insert(app);
    await until('the other replica has it', () => (db.status().replicas[1]?.position.txid ?? 0n) > 0n);
    expect(await rowsOf(join(folder, 'one'))).toBe(app.rows());
    expect(db.position.txid).toBe(0n);
  });

  test('continues above the replica with the highest TXID if the local files are lost', async () => {
    const app = application();
    const [behind, ahead] = [place('behind'), place('ahead')];
    const first = new Litestream();
    const db = await first.replicate(path, [behind.client, ahead.client]);
    await db.replicated();
    behind.client.isDown = true;
    for (let round = 0; round < 3; round++) await insertInto(app, db, 1);
    const end = db.status().replicas[1]?.position.txid ?? 0n;
    expect(end).toBeGreaterThan(db.position.txid);
    await first.stop({ finalSync: false });
    removeFolder(join(folder, '.app.db-litestream'), { force: true });
    behind.client.isDown = false;
    const litestream = start();
    const again = await litestream.replicate(path, [behind.client, ahead.client]);
    insert(app);
    await again.replicated();
    expect(again.position.txid).toBeGreaterThan(end);
    for (const { folder: source } of [behind, ahead]) expect(await rowsOf(source)).toBe(app.rows());
  });

  test('reopens the database if the replica with the highest TXID answers only later', async () => {
    const app = application();
    const [behind, ahead] = [place('behind'), place('ahead')];
    const first = new Litestream();
    const db = await first.replicate(path, [behind.client, ahead.client]);
    await db.replicated();
    behind.client.isDown = true;
    for (let round = 0; round < 3; round++) await insertInto(app, db, 1);
    const end = db.status().replicas[1]?.position.txid ?? 0n;
    await first.stop({ finalSync: false });
    removeFolder(join(folder, '.app.db-litestream'), { force: true });
    behind.client.isDown = false;
    ahead.client.isDown = true;
    const litestream = start();
    const again = await litestream.replicate(path, [behind.client, ahead.client]);
    insert(app);
    await until('the replica that answers has it', () => (again.status().replicas[0]?.position.txid ?? 0n) > 0n);
    ahead.client.isDown = false;
    await until('both have it', async () => {
      await again.replicated().catch(() => undefined);
      return again.position.txid > end;
    });
    insert(app);
    await again.replicated();
    for (const { folder: source } of [behind, ahead]) expect(await rowsOf(source)).toBe(app.rows());
  });

  test.each([
    ['none', () => [[]]],
    ['one twice', () => [[join(folder, 'one'), join(folder, 'one')]]],
    ['one twice, with settings', () => [[{ settings: { path: 'a' } }, { settings: { path: 'a' } }]]],
    ['each as an argument', () => [join(folder, 'one'), join(folder, 'two')]],
  ])('refuses %s', async (_, args) => {
    const litestream = start();
    const [replicas, options] = args() as [string, object | undefined];
    await expect(litestream.replicate(path, replicas, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(litestream.databases).toEqual([]);
  });

  test('refuses a missing plugin, also if the other replicas have theirs', async () => {
    const litestream = start();
    await expect(litestream.replicate(path, [join(folder, 'one'), 'none://bucket'])).rejects.toMatchObject({
      code: 'PLUGIN_MISSING',
    });
    expect(litestream.databases).toEqual([]);
  });
});

describe('restore and lease', () => {
  test('restores a missing database from the replica with the highest TXID', async () => {
    const app = application();
    const [behind, ahead] = [place('behind'), place('ahead')];
    const first = new Litestream();
    const db = await first.replicate(path, [behind.client, ahead.client]);
    await db.replicated();
    behind.client.isDown = true;
    await insertInto(app, db, 1);
    const expected = app.rows();
    await first.stop({ finalSync: false });
    const moved = join(folder, 'restored.db');
    const litestream = start();
    const options = { restoreIfMissing: true };
    await expect(litestream.replicate(moved, [behind.client, ahead.client], options)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    expect(existsSync(moved)).toBe(false);
    behind.client.isDown = false;
    const again = await litestream.replicate(moved, [behind.client, ahead.client], options);
    expect(rowsIn(moved)).toBe(expected);
    await again.replicated();
    expect(await rowsOf(behind.folder)).toBe(expected);
  });

  test('holds a lease on each replica, in their order, and releases all', async () => {
    const app = application();
    const replicas = [new MemoryClient(), new MemoryClient()];
    const holder = start();
    const db = await holder.replicate(path, replicas, { lease: { owner: 'first' } });
    insert(app);
    await db.replicated();
    expect(db.status().replicas.map(({ lease }) => lease?.state)).toEqual(['held', 'held']);
    expect(db.lease).toMatchObject({ state: 'held', owner: 'first' });
    const successor = start();
    const events: LitestreamEvents['lease'][] = [];
    successor.on('lease', (event) => events.push(event));
    const moved = join(folder, 'second.db');
    const waiting = successor.replicate(moved, replicas, { lease: { owner: 'second' }, restoreIfMissing: true });
    await until('it waits for the first lease', () => events.some(({ state }) => state === 'waiting'));
    const expected = app.rows();
    await holder.stop();
    const taken = await waiting;
    expect(rowsIn(moved)).toBe(expected);
    expect(taken.status().replicas.map(({ lease }) => lease?.state)).toEqual(['held', 'held']);
  });
});

describe('maintenance', () => {
  test('compacts and snapshots each replica while another one is down', async () => {
    const app = application();
    const [up, down] = [place('up'), place('down')];
    const litestream = start({ store: { levels: [{ level: 1, intervalMs: 100 }], level0CheckIntervalMs: 50 } });
    const db = await litestream.replicate(path, [down.client, up.client]);
    insert(app);
    await db.replicated();
    await until('both have a snapshot', () => filesOf(up.folder, 9).length + filesOf(down.folder, 9).length === 2);
    down.client.isDown = true;
    const before = filesOf(up.folder, 1).length;
    for (let round = 0; round < 3; round++) await insertInto(app, db, 1);
    await until('the other one is compacted', () => filesOf(up.folder, 1).length > before);
    down.client.isDown = false;
    await db.replicated();
    await litestream.stop();
    for (const { folder: source } of [up, down]) expect(await rowsOf(source)).toBe(app.rows());
  });

  test('keeps local files until every replica has them', async () => {
    const app = application();
    const [up, down] = [place('up'), place('down')];
    const store = { levels: [{ level: 1, intervalMs: 50 }], level0RetentionMs: 1, level0CheckIntervalMs: 20 };
    const litestream = start({ store });
    const db = await litestream.replicate(path, [up.client, down.client]);
    insert(app);
    await db.replicated();
    down.client.isDown = true;
    const first = (db.position.txid + 1n).toString(16).padStart(16, '0');
    for (let round = 0; round < 3; round++) await insertInto(app, db, 0);
    await until('the replica that is up keeps the first file no longer', () => {
      insert(app);
      return (filesOf(up.folder, 0)[0] ?? '') > `${first}-${first}.ltx`;
    });
    expect(filesOf(join(folder, '.app.db-litestream'), 0)).toContain(`${first}-${first}.ltx`);
    down.client.isDown = false;
    await db.replicated();
    expect(await rowsOf(down.folder)).toBe(app.rows());
  });

  test('snapshots and verifies every replica', async () => {
    const app = application();
    const [one, two] = [place('one'), place('two')];
    const litestream = start();
    const snapshots: LitestreamEvents['snapshot'][] = [];
    litestream.on('snapshot', (event) => snapshots.push(event));
    const db = await litestream.replicate(path, [one.client, two.client]);
    insert(app, 100_000);
    await db.replicated();
    await until(
      'the first snapshots are there',
      () => filesOf(one.folder, 9).length + filesOf(two.folder, 9).length === 2,
    );
    const { maxTxid } = await db.snapshot();
    expect(snapshots.filter(({ txid }) => txid === maxTxid).length).toBeGreaterThanOrEqual(2);
    expect(await db.verify()).toMatchObject({ repairs: [], txid: db.position.txid });
    two.client.current = new MemoryClient();
    await expect(db.verify()).rejects.toBeInstanceOf(LitestreamError);
  });
});
