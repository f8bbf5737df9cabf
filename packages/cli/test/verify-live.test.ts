/** `verify -live`, restore drills and the proof of a lost ledger, with real daemons. */
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { basename, join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { run, scratchFolder, start, until } from './support/cli.ts';
import { createDatabase, insertRows } from './support/database.ts';
import { ltxNames } from './support/replica.ts';

interface Live {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly url: string;
  /** Arguments of `verify` that name the daemon and the database. */
  readonly args: readonly string[];
  readonly daemon: ReturnType<typeof start>;
}

/**
 * A daemon with a control socket and a status server, and an application that has the database open. Without levels: a compaction
 * would replace files that a test has damaged.
 */
async function live(extra = ''): Promise<Live> {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const replica = join(folder, 'replica');
  createDatabase(database, 50);
  const app = new DatabaseSync(database);
  onTestFinished(() => app.close());
  app.prepare('SELECT count(*) FROM sqlite_schema').get();
  const config = join(folder, 'litestream.yml');
  const socket = join(folder, 'socket');
  writeFileSync(
    config,
    `addr: 127.0.0.1:0\nsocket: {enabled: true, path: ${socket}}\nlevels: []\n${extra}dbs:
  - {path: ${database}, replica: {path: ${replica}, sync-interval: 10ms}}\n`,
  );
  const daemon = start(['replicate', '-config', config], { cwd: folder });
  await daemon.said(/serving metrics on" url=\S+/);
  const url = /serving metrics on" url=(\S+)\/metrics/.exec(daemon.stdout)?.[1] ?? '';
  expect(await run(['sync', '-wait', '-socket', socket, database])).toMatchObject({ exitCode: 0 });
  // Of these rows only: taken later, it would hold what a test writes, and replace the files that the test damages.
  await until(() => ltxNames(replica, 9).length > 0, 'the first snapshot');
  return { folder, database, replica, url, args: ['-socket', socket, database], daemon };
}

/** Level-0 files, oldest first. */
function level0({ replica }: Live): string[] {
  return ltxNames(replica).map((name) => join(replica, 'ltx', '0', name));
}

function damage(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

interface Asked {
  /** The whole request was handed to the system. */
  readonly sent: Promise<void>;
  readonly answer: Promise<string>;
  /** The client disconnects before the answer. */
  readonly leave: () => void;
}

function askOn(socketPath: string, name: string, path: string): Asked {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = Promise.withResolvers<void>();
  const asked = request({ socketPath, path: name, method: 'POST', agent: false }, (response) => {
    textOf(response).then(resolve, reject);
  });
  asked.once('error', reject);
  asked.end(JSON.stringify({ path }), sent.resolve);
  return { sent: sent.promise, answer: promise, leave: () => void asked.destroy() };
}

const text = async (url: string): Promise<string> => await (await fetch(url)).text();

describe('verify -live', () => {
  test('compares the live database with its replica', async () => {
    const place = await live();
    insertRows(place.database, 5);
    const result = await run(['verify', '-live', ...place.args]);
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toMatch(
      /^\S+replica\n {2}The live database, \d+ pages, has the checksum that the replica states\. Proven up to transaction 0{15}\d\.\n {2}The other files .*\n$/,
    );
    const { stdout } = await run(['verify', '-live', '-json', ...place.args]);
    expect(JSON.parse(stdout)).toMatchObject({
      db_path: place.database,
      ok: true,
      replicas: [{ ok: true, faults: [] }],
    });
    await place.daemon.stop();
  });

  test('finds a replica that states another database, and repairs it', async () => {
    const place = await live();
    insertRows(place.database, 5);
    await run(['sync', '-wait', ...place.args]);
    damage(level0(place).at(-1) ?? '', 90);
    const found = await run(['verify', '-live', ...place.args]);
    expect(found).toMatchObject({ exitCode: 1 });
    expect(found.stdout).toMatch(/not verified: .* states another database at TXID/);
    const repaired = await run(['verify', '-live', '-repair', ...place.args]);
    expect(repaired).toMatchObject({ exitCode: 0, stderr: '' });
    expect(repaired.stdout).toContain('repaired: took a snapshot');
    expect(await run(['verify', '-live', ...place.args])).toMatchObject({ exitCode: 0 });
    const output = join(place.folder, 'out.db');
    const url = `file://${place.replica}`;
    expect(await run(['restore', '-proof', 'required', '-o', output, url])).toMatchObject({ exitCode: 0 });
    await place.daemon.stop();
  });

  test.each([
    ['has a damaged header', (path: string) => damage(path, 0)],
    ['is truncated', (path: string) => truncateSync(path, 50)],
    ['is empty', (path: string) => truncateSync(path, 0)],
  ])('repairs a replica whose newest file %s', async (_what, spoil) => {
    const place = await live();
    insertRows(place.database, 5);
    await run(['sync', '-wait', ...place.args]);
    spoil(level0(place).at(-1) ?? '');
    expect(await run(['verify', '-live', ...place.args])).toMatchObject({ exitCode: 1 });
    const repaired = await run(['verify', '-live', '-repair', ...place.args]);
    expect(repaired).toMatchObject({ exitCode: 0, stderr: '' });
    expect(repaired.stdout).toContain('repaired: took a snapshot');
    const url = `file://${place.replica}`;
    expect(await run(['restore', '-proof', 'required', '-o', join(place.folder, 'out.db'), url])).toMatchObject({
      exitCode: 0,
    });
    await place.daemon.stop();
  });

  test('repairs a replica whose files are whole, but do not make the database that the last one states', async () => {
    const [place, other] = [await live(), await live()];
    for (const [{ database, args }, value] of [
      [place, 'row A'],
      [other, 'row B'],
    ] as const) {
      const changes = ['CREATE TABLE u (x)', `UPDATE t SET x = '${value}' WHERE rowid = 1`, 'INSERT INTO u VALUES (1)'];
      for (const sql of changes) {
        const db = new DatabaseSync(database);
        db.exec(`PRAGMA busy_timeout = 60000; ${sql}`);
        db.close();
        await run(['sync', '-wait', ...args]);
      }
    }
    // The file of the same transaction, with another row.
    const [file = '', replacement = ''] = [level0(place).at(-2), level0(other).at(-2)];
    expect(basename(file)).toBe(basename(replacement));
    copyFileSync(replacement, file);
    const restore = async (name: string): Promise<number | null> => {
      const output = join(place.folder, name);
      return (await run(['restore', '-o', output, `file://${place.replica}`])).exitCode;
    };
    expect(await restore('wrong.db')).toBe(1);
    const repaired = await run(['verify', '-live', '-repair', ...place.args]);
    expect(repaired).toMatchObject({ exitCode: 0, stderr: '' });
    expect(repaired.stdout).toContain('repaired: took a snapshot');
    expect(await restore('right.db')).toBe(0);
    await place.daemon.stop();
    await other.daemon.stop();
  });

  test('runs one at a time, ends when the database is stopped, and skips clients that disconnected', async () => {
    const place = await live();
    const large = new DatabaseSync(place.database);
    large.exec('INSERT INTO t SELECT randomblob(40000000)');
    large.close();
    await run(['sync', '-wait', ...place.args]);
    const [, socket = ''] = place.args;
    const ask = (name: string): Asked => askOn(socket, name, place.database);
    const gone = Array.from({ length: 20 }, () => ask('/verify'));
    const there = ask('/verify');
    expect(await gone[0]?.answer).toContain('"ok":true');
    for (const { leave } of gone) leave();
    await Promise.allSettled(gone.map(({ answer }) => answer));
    // After those of the clients that disconnected, which take no time.
    expect(await there.answer).toContain('"ok":true');
    // The daemon gets all of them at once: none can end before it is stopped.
    const { late, stop } = await place.daemon.asOneStep(async () => {
      const late = Array.from({ length: 20 }, () => ask('/verify'));
      await Promise.all(late.map(({ sent }) => sent));
      const stop = ask('/stop');
      await stop.sent;
      return { late, stop };
    });
    expect(await stop.answer).toContain('"status":"stopped"');
    expect(await late.at(-1)?.answer).toContain('the database is being stopped');
    await place.daemon.stop();
  });

  test('reports what it needs', async () => {
    const place = await live();
    expect((await run(['verify', '-repair', ...place.args])).stderr).toContain('-repair needs -live');
    expect((await run(['verify', '-live', '-socket', join(place.folder, 'none'), place.database])).stderr).toContain(
      'failed to connect to control socket',
    );
    const other = join(place.folder, 'other.db');
    expect((await run(['verify', '-live', ...place.args.slice(0, -1), other])).stderr).toContain(
      `database not found: ${other}`,
    );
    await place.daemon.stop();
  });
});

test('metrics, status and readiness show restore drills', async () => {
  const place = await live('drill: {interval: 300ms}\n');
  const { database, url, daemon } = place;
  const labels = `{db="${database}",replica="${place.replica}"}`;
  await until(
    async () => (await text(`${url}/metrics`)).includes(`litestream_last_drill_success${labels} 1`),
    'a drill that succeeded',
  );
  const { databases } = JSON.parse(await text(`${url}/api/status`)) as {
    databases: { replicas: { drill: object }[] }[];
  };
  expect(databases[0]?.replicas[0]?.drill).toMatchObject({ ok: true, proven: true, error: null });
  expect(await text(`${url}/readyz`)).toMatch(/^ok\n\S+app\.db: proven up to TXID 0{15}\d at \S+Z\n$/);

  for (const level of [0, 9]) {
    for (const name of ltxNames(place.replica, level)) damage(join(place.replica, 'ltx', String(level), name), 150);
  }
  await until(
    async () => (await text(`${url}/readyz`)).includes('the last restore drill failed'),
    'a drill that failed',
  );
  await daemon.said('level=ERROR msg="restore drill failed"');
  await daemon.stop();
});

test('replicate -once rebuilds a lost ledger', async () => {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const url = `file://${folder}/replica`;
  createDatabase(database, 50);
  // The WAL stays, so the next start goes on from it.
  const app = new DatabaseSync(database);
  onTestFinished(() => app.close());
  app.prepare('SELECT count(*) FROM sqlite_schema').get();
  const once = async (): Promise<void> =>
    expect(await run(['replicate', '-once', database, url])).toMatchObject({ exitCode: 0 });
  await once();
  rmSync(join(folder, '.app.db-litestream', 'ledger'));
  insertRows(database, 5);
  await once();
  insertRows(database, 5);
  await once();
  const { exitCode, stdout } = await run(['verify', url]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('Proven up to transaction');
});
