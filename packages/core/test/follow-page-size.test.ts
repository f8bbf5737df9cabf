/**
 * A followed copy whose source changes its page size. The copy takes the new pages through its log like any others, so
 * that whoever reads it sees the state before or the one after, also from a connection that was open all the time.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ReplicaClient } from '../src/storage/contract/contract.ts';
import { FileClient } from '../src/storage/file/file-client.ts';
import { guardClient } from '../src/storage/guard/guard-client.ts';
import { Follower } from '../src/follower/follower.ts';
import type { FollowUpdate } from '../src/follower/follower.ts';
import { Litestream } from '../src/litestream/litestream.ts';
import type { Logger } from '../src/util/logger.ts';
import { silentLogger } from '../src/util/logger.ts';
import { restore } from '../src/restore/restore.ts';
import { MemoryClient, Seeded } from '../src/testing/index.ts';
import { faultsOf } from './helpers/faulty-fs.ts';
import type { Fault } from './helpers/faulty-fs.ts';
import { contentOf } from './support/followed.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
const script = fileURLToPath(new URL('./helpers/follow-once.ts', import.meta.url));
const root = temporaryFolder('follow-page-size');
let count = 0;
let folder = '';
let output = '';
let client = new MemoryClient();
const readers: DatabaseSync[] = [];

afterEach(() => {
  for (const database of readers.splice(0)) if (database.isOpen) database.close();
});

beforeEach(() => {
  folder = join(root, String(count++));
  mkdirSync(folder);
  output = join(folder, 'copy.db');
  client = new MemoryClient();
});

/** A while in which the source has this page size, and what it holds at the end of it. */
async function live(pageSize: number, ...transactions: readonly string[]): Promise<string> {
  return await liveWith(client, pageSize, ...transactions);
}

async function liveWith(replica: ReplicaClient, pageSize: number, ...transactions: readonly string[]): Promise<string> {
  const path = join(folder, 'app.db');
  const app = new DatabaseSync(path);
  app.exec(`PRAGMA journal_mode = delete; PRAGMA page_size = ${pageSize}; VACUUM; PRAGMA journal_mode = wal`);
  app.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x BLOB)');
  await using litestream = new Litestream({ store: false });
  const database = await litestream.replicate(path, replica, { monitorIntervalMs: 0 });
  for (const sql of transactions) {
    app.exec(`BEGIN; ${sql}; COMMIT`);
    await database.replicated();
  }
  await database.replicated();
  const content = contentOf(app);
  app.close();
  return content;
}

interface Following {
  readonly follower: Follower;
  readonly updates: FollowUpdate[];
  readonly lines: string[];
}

async function follow(replica: ReplicaClient = client): Promise<Following> {
  const updates: FollowUpdate[] = [];
  const lines: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (message) => void lines.push(message) };
  const follower = await Follower.open(replica, { output, logger, onUpdate: (update) => updates.push(update) });
  onTestFinished(() => follower.close());
  await follower.poll();
  return { follower, updates, lines };
}

/** As another program reads it. Closed when the test ends. */
function reader(): DatabaseSync {
  const database = new DatabaseSync(output, { readOnly: true });
  readers.push(database);
  return database;
}

/** A process of its own that follows once, and may be killed by a fault. */
function followOnce(replica: string, copy: string, fault?: Fault): { calls: readonly string[]; signal: string | null } {
  const args = [replica, copy, ...(fault === undefined ? [] : [JSON.stringify(fault)])];
  const { stdout, stderr, signal, status } = spawnSync(process.execPath, ['--no-warnings', script, ...args]);
  if (signal === null && status !== 0) throw new Error(stderr.toString());
  return { calls: signal === null ? (JSON.parse(stdout.toString()) as string[]) : [], signal };
}

const rows = (n: number, size: number): string =>
  `INSERT INTO t (x) SELECT randomblob(${size}) FROM (WITH RECURSIVE s (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s LIMIT ${n}) SELECT i FROM s)`;
const pageSizeOf = (database: DatabaseSync): unknown => database.prepare('PRAGMA page_size').get()?.['page_size'];

describe('the page size of the source changes', () => {
  test.each([
    [4096, 512],
    [512, 65_536],
    [65_536, 1024],
    [1024, 4096],
  ])('from %i to %i: the copy follows, for connections old and new', async (from, to) => {
    const before = await live(from, rows(40, 2000));
    const { follower, updates } = await follow();
    const old = reader();
    expect(contentOf(old)).toBe(before);
    const after = await live(to, rows(60, 3000), 'DELETE FROM t WHERE id % 3 = 0');
    await follower.poll();
    expect([contentOf(old), pageSizeOf(old)]).toEqual([after, to]);
    expect([contentOf(reader()), pageSizeOf(reader())]).toEqual([after, to]);
    expect(updates.at(-1)).toMatchObject({ isRebase: true, toTxid: follower.position });
    // The pages lie in the database file by now, and the next transactions are like any others.
    expect(readFileSync(output).readUInt16BE(16) % 65_535).toBe(to === 65_536 ? 1 : to);
    const later = await live(to, rows(5, 100), rows(500, 900));
    await follower.poll();
    expect(updates.at(-1)?.isRebase).toBe(false);
    expect([contentOf(old), contentOf(reader())]).toEqual([later, later]);
    for (const database of readers.splice(0)) database.close();
    await follower.close();
    expect([existsSync(`${output}-wal`), existsSync(`${output}-shm`)]).toEqual([false, false]);
    const restored = await restore(client, { output: join(folder, 'restored.db') });
    expect(readFileSync(output).equals(readFileSync(restored.output))).toBe(true);
  });

  test('twice while nobody follows, and back again, with what was not in the database file yet', async () => {
    await live(4096, rows(40, 2000));
    const first = await follow();
    await live(4096, rows(4, 2000));
    await first.follower.poll();
    const keptOpen = reader();
    contentOf(keptOpen);
    await first.follower.close();
    await live(1024, rows(30, 2000));
    await live(8192, rows(30, 2000));
    const second = await follow();
    const third = await live(4096, rows(3, 30));
    await second.follower.poll();
    expect([contentOf(keptOpen), contentOf(reader())]).toEqual([third, third]);
  });

  test('a reader that stays with a state in the log keeps it, and the follower waits for it', async () => {
    await live(4096, rows(40, 2000));
    const { follower, lines } = await follow();
    const before = await live(4096, rows(40, 2000));
    await follower.poll();
    const { position } = follower;
    const old = reader();
    old.exec('BEGIN');
    expect(contentOf(old)).toBe(before);
    const after = await live(1024, rows(60, 3000));
    const calls = client.store.entries.size;
    for (let i = 0; i < 3; i += 1) expect(await follower.poll()).toBe(position);
    expect(lines).toEqual(['follow: the page size changed, waiting for readers to end']);
    expect(client.store.entries.size).toBe(calls);
    expect([contentOf(old), contentOf(reader())]).toEqual([before, before]);
    old.exec('COMMIT');
    await follower.poll();
    expect([contentOf(old), contentOf(reader())]).toEqual([after, after]);
  });

  test('a reader that stays with a state in the database file keeps it, and the follower goes on', async () => {
    const before = await live(4096, rows(40, 2000));
    const { follower } = await follow();
    const old = reader();
    old.exec('BEGIN');
    expect(contentOf(old)).toBe(before);
    const after = await live(1024, rows(60, 3000));
    await follower.poll();
    expect(contentOf(reader())).toBe(after);
    expect(contentOf(old)).toBe(before);
    old.exec('COMMIT');
    expect(contentOf(old)).toBe(after);
    const later = await live(1024, rows(60, 3000));
    await follower.poll();
    expect([contentOf(old), contentOf(reader())]).toEqual([later, later]);
  });

  test('two followers of one copy agree on it', async () => {
    await live(4096, rows(40, 2000));
    const first = await follow();
    const second = await follow();
    const old = reader();
    for (const pageSize of [1024, 8192]) {
      const content = await live(pageSize, rows(60, 3000));
      await Promise.all([first.follower.poll(), second.follower.poll()]);
      await second.follower.poll();
      expect([contentOf(old), contentOf(reader())]).toEqual([content, content]);
    }
  });

  test('a damaged file changes nothing', async () => {
    const before = await live(4096, rows(40, 2000));
    const { follower } = await follow();
    await live(1024, rows(60, 3000));
    await live(1024, rows(1, 10));
    const keys = [...client.store.entries.keys()].toSorted();
    // The file that holds all pages of the new size is damaged.
    const key = keys.at(-2) ?? '';
    const entry = client.store.entries.get(key);
    const bytes = Buffer.from(entry?.bytes ?? []);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    client.store.put(key, bytes, new Date());
    await expect(follower.poll()).rejects.toMatchObject({ message: expect.stringContaining(key) });
    expect(contentOf(reader())).toBe(before);
  });

  test(
    `killed at any call in the middle, it leaves one state or the other, SEED=${seed}`,
    { timeout: 300_000 },
    async () => {
      const path = join(folder, 'replica');
      const replica = guardClient(new FileClient({ path }));
      const before = await liveWith(replica, 4096, rows(300, 3000));
      const base = join(folder, 'base.db');
      followOnce(path, base);
      const after = await liveWith(replica, 1024, rows(300, 3000));
      const begin = (name: string): string => {
        const copy = join(folder, name);
        for (const suffix of ['', '-txid']) copyFileSync(base + suffix, copy + suffix);
        return copy;
      };
      const { calls } = followOnce(path, begin('whole.db'));
      const writes = calls.flatMap((call, index) =>
        /^(write|fdata|rename|handle.(write|sync))/.test(call) ? [index] : [],
      );
      expect(writes.length).toBeGreaterThan(6);
      const faults = faultsOf(calls, ['SIGKILL']);
      const random = new Seeded(seed);
      const all = process.env['FOLLOW_KILLS'] === 'all';
      const chosen = writes.filter(() => all || random.next() < 2 / writes.length);
      for (const index of chosen) {
        output = begin(`${index}.db`);
        const old = reader();
        expect(contentOf(old)).toBe(before);
        const { signal } = followOnce(path, output, faults[index]);
        expect(signal).toBe('SIGKILL');
        const seen = contentOf(old);
        expect([before, after], `killed at ${calls[index]}`).toContain(seen);
        expect([before, after], `killed at ${calls[index]}`).toContain(contentOf(reader()));
        old.close();
        await follow(replica);
        expect(contentOf(reader()), `killed at ${calls[index]}`).toBe(after);
      }
    },
  );
});
