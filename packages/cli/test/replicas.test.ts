/** Several replicas of one database, one of them down: it never delays the other, and catches up when it is back. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { giveBack as bringUp, makeRemovable, takeAway as takeDown } from '../../../tests/support/removable.ts';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { Cli } from './support/cli.ts';
import { ltxNames as names } from './support/replica.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly config: string;
  /** Folders of the two replicas. */
  readonly a: string;
  readonly b: string;
}

function setup({ keys = '', second = '' } = {}): Setup {
  const folder = scratchFolder();
  const at = { folder, database: join(folder, 'app.db'), config: join(folder, 'litestream.yml'), a: '', b: '' };
  const both = { ...at, a: join(folder, 'a'), b: join(folder, 'b') };
  createDatabase(at.database);
  for (const replica of [both.a, both.b]) makeRemovable(replica);
  writeFileSync(
    at.config,
    `${keys}
dbs:
  - path: ${at.database}
    replicas:
      - {path: ${both.a}, sync-interval: 50ms}
      - ${second === '' ? `{path: ${both.b}, sync-interval: 50ms}` : second}
`,
  );
  return both;
}

async function daemonOf(at: Setup, options: Parameters<typeof start>[1] = {}): Promise<Cli> {
  const daemon = start(['replicate', '-config', at.config], options);
  await daemon.said('msg="starting L0 retention monitor"');
  return daemon;
}

/** With its log, and its metadata folder. */
function removeDatabase(at: Setup): void {
  for (const name of readdirSync(at.folder)) {
    const path = join(at.folder, name);
    // The daemon may be writing there.
    if (name.startsWith('app.db') || name.startsWith('.app.db')) removeFolder(path, { force: true });
  }
}

async function restoredRows(at: Setup, replica: string): Promise<number> {
  const output = join(at.folder, `restored-${Math.random().toString(36).slice(2)}.db`);
  const result = await run(['restore', '-o', output, `file://${replica}`]);
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  return countRows(output);
}

/** The last transaction on the replica, in hexadecimal. At level 0 alone it does not stay: compaction moves files up. */
function newest(replica: string): string {
  const ends = [0, 1, 9].flatMap((level) => names(replica, level)).map((name) => name.slice(17));
  return ends.sort().at(-1) ?? '';
}

describe('one replica is down', () => {
  test('from the start: the other gets everything at once, and it catches up', async () => {
    const at = setup();
    takeDown(at.b);
    const daemon = await daemonOf(at);
    insertRows(at.database, 5);
    await until(() => names(at.a, 0).length > 0, 'the first file on the first replica');
    await daemon.said('msg="monitor error"');
    expect(daemon.stdout).toContain('replica=file');
    insertRows(at.database, 5);
    bringUp(at.b);
    await until(() => names(at.b, 0).length > 0, 'the first file on the second replica');
    insertRows(at.database, 5);
    expect((await daemon.stop()).exitCode).toBe(0);
    expect(names(at.b, 0)).toEqual(names(at.a, 0));
    expect(await restoredRows(at, at.a)).toBe(16);
    expect(await restoredRows(at, at.b)).toBe(16);
  });

  test('in the middle and at the end: the first one has it all, the last sync says what is missing', async () => {
    // The first one gets its time, however long that is: a second signal ends the attempts.
    const at = setup({ keys: 'shutdown-timeout: 1h\nshutdown-sync-timeout: 1h\nshutdown-sync-interval: 100ms' });
    const daemon = await daemonOf(at);
    await until(() => names(at.b, 0).length > 0, 'the first file on the second replica');
    takeDown(at.b);
    insertRows(at.database, 10);
    daemon.child.kill('SIGTERM');
    await daemon.said(/ msg="shutdown sync failed, retrying" .*\/b\b/);
    await until(async () => (await restoredRows(at, at.a)) === 11, 'the last rows on the first replica');
    const { exitCode, stdout } = await daemon.stop();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/level=WARN msg="shutdown sync (skipped|interrupted)/);

    // The next process goes on: the files that one replica lacks are still here.
    bringUp(at.b);
    const again = await daemonOf(at);
    expect((await again.stop()).stdout).not.toMatch(/level=(WARN|ERROR)/);
    expect(names(at.b, 0)).toEqual(names(at.a, 0));
    expect(await restoredRows(at, at.b)).toBe(11);
  });

  test('hanging, as behind a firewall: neither start, uploads nor stop wait for it', async () => {
    const at = setup({ keys: 'shutdown-sync-timeout: 2s', second: '{type: hanging}' });
    writeFileSync(
      join(at.folder, 'hanging.mjs'),
      `const never = () => new Promise(() => setInterval(() => {}, 1e6));
export default { name: 'hanging', apiVersion: 1, schemes: ['hanging'], types: ['hanging'], configSchema: { parse: () => ({}) },
  create: () => ({ type: 'hanging', capabilities: {}, init: never, async *ltxFiles() { await never(); }, openLtxFile: never,
    writeLtxFile: never, deleteLtxFiles: never, deleteAll: never, [Symbol.asyncDispose]: async () => {} }) };
`,
    );
    writeFileSync(at.config, `plugins: [./hanging.mjs]\n${readFileSync(at.config, 'utf8')}`);
    const daemon = await daemonOf(at);
    insertRows(at.database, 3);
    await until(() => names(at.a, 0).length > 0, 'the first file');
    insertRows(at.database, 3);
    await until(async () => (await restoredRows(at, at.a)) === 7, 'the rows on the replica that answers');
    const { exitCode, stdout } = await daemon.stop();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/level=ERROR msg="failed to close database" error="shutdown sync timeout/);
  });

  test('for so long that a snapshot is cheaper: local files go, and it gets one', async () => {
    const at = setup({
      keys: 'levels: [{interval: 1s}]\nl0-retention: 1s\nl0-retention-check-interval: 200ms\n',
    });
    const daemon = await daemonOf(at);
    await until(() => names(at.b, 0).length > 0, 'the first file on the second replica');
    // Which comes once the upload is confirmed: taken down before, it would tell of its position twice.
    await until(() => names(at.b, 9).length > 0, 'the first snapshot on the second replica');
    const [last = ''] = names(at.b, 0).slice(-1);
    takeDown(at.b);
    const local = join(at.folder, '.app.db-litestream/ltx/0');
    const app = new DatabaseSync(at.database);
    app.exec('PRAGMA busy_timeout = 60000; CREATE TABLE blob (id INTEGER PRIMARY KEY, x)');
    // The database stays at 20 MB while several times that passes through its log.
    const tooFar = 'msg="replica is too far behind, it gets a snapshot once it answers"';
    for (let round = 0; round < 20 && !daemon.stdout.includes(tooFar); round += 1) {
      const before = newest(at.a);
      app.exec(
        'WITH n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n LIMIT 1000) INSERT OR REPLACE INTO blob SELECT id, randomblob(20000) FROM n',
      );
      await until(() => newest(at.a) > before, 'the upload');
    }
    const tick = setInterval(() => app.exec("INSERT INTO t VALUES ('tick')"), 100);
    try {
      await daemon.said(tooFar);
      const next = (BigInt(`0x${last.slice(17, 33)}`) + 1n).toString(16).padStart(16, '0');
      await until(() => !existsSync(join(local, `${next}-${next}.ltx`)), 'local files to be deleted');
    } finally {
      clearInterval(tick);
      app.close();
    }
    bringUp(at.b);
    await daemon.said(/msg="local ltx file is missing or damaged, replacing it by a snapshot".* replica=file/);
    const reaches = (name: string): boolean => name.slice(17) > last.slice(17);
    await until(() => names(at.b, 9).some(reaches), 'the snapshot');
    insertRows(at.database, 1);
    expect((await daemon.stop()).exitCode).toBe(0);
    // As it was uploaded, or compacted: a file of level 1 ends there, since the next one of level 0 is missing.
    const ends = [0, 1].flatMap((level) => names(at.b, level)).map((name) => name.slice(17));
    expect(ends).toContain(last.slice(17));
    expect(await restoredRows(at, at.b)).toBe(await restoredRows(at, at.a));
    expect(daemon.stdout.split('too far behind')).toHaveLength(2);
    // It is down for seconds, with four kinds of work due every few hundred milliseconds.
    const errorsAtMs = [...daemon.stdout.matchAll(/^time=(\S+) level=ERROR/gm)].map(([, time = '']) =>
      Date.parse(time),
    );
    const downSeconds = ((errorsAtMs.at(-1) ?? 0) - (errorsAtMs[0] ?? 0)) / 1000;
    expect(errorsAtMs.length).toBeLessThan(Math.max(9, downSeconds));
  });
});

describe('a replica that reaches farther than all that could be asked', () => {
  test.each([
    ['than the database now: it goes on above it', false],
    ['than the database when it started: it gets a snapshot', true],
  ])('%s', async (_, isOvertaken) => {
    const at = setup();
    // Both have the first rows; then the first one misses what the second one gets.
    expect((await run(['replicate', '-once', '-config', at.config])).exitCode).toBe(0);
    takeDown(at.a);
    const both = start(['replicate', '-config', at.config]);
    await both.said('msg="replicating to"');
    for (let round = 0; round < 4; round += 1) {
      const before = newest(at.b);
      insertRows(at.database, 1);
      await until(() => newest(at.b) > before, 'the next file');
    }
    both.child.kill('SIGKILL');
    await both.ended;
    bringUp(at.a);

    // The machine is lost; what comes back is from the replica that lags behind, while the other one is away.
    removeDatabase(at);
    takeDown(at.b);
    expect((await run(['restore', '-o', at.database, `file://${at.a}`])).exitCode).toBe(0);
    expect(countRows(at.database)).toBe(1);
    const daemon = await daemonOf(at);
    if (isOvertaken) {
      // In the meantime the database has used the numbers of the other replica's transactions for its own.
      const end = newest(`${at.b}.away`);
      while (newest(at.a) <= end) {
        const before = newest(at.a);
        insertRows(at.database, 1);
        await until(() => newest(at.a) > before, 'the next file');
      }
    }
    bringUp(at.b);
    const returned = newest(at.b);
    insertRows(at.database, 2);
    await until(() => newest(at.b) > returned, 'the replica that came back to go on');
    insertRows(at.database, 2);
    expect((await daemon.stop()).exitCode).toBe(0);
    const total = countRows(at.database);
    expect(await restoredRows(at, at.a)).toBe(total);
    expect(await restoredRows(at, at.b)).toBe(total);
  });
});

test('a database made anew while the farthest replica is away, and still shorter than that when it is back, goes on above it', async () => {
  const at = setup();
  const daemon = await daemonOf(at);
  await until(() => names(at.a, 0).length > 0 && newest(at.a) === newest(at.b), 'the first file on both replicas');
  takeDown(at.a);
  for (let round = 0; round < 10; round += 1) {
    const before = newest(at.b);
    insertRows(at.database, 1);
    await until(() => newest(at.b) > before, 'the next file');
  }
  takeDown(at.b);
  removeDatabase(at);
  bringUp(at.a);
  createDatabase(at.database);
  await daemon.said('msg="database file was removed or replaced, reopening"');
  const before = newest(at.a);
  insertRows(at.database, 1);
  await until(() => newest(at.a) > before, 'the replica that answers to go on');
  expect(newest(at.a) < newest(`${at.b}.away`)).toBe(true);
  bringUp(at.b);
  const returned = newest(at.b);
  insertRows(at.database, 1);
  await until(() => newest(at.b) > returned, 'the replica that came back to go on');
  insertRows(at.database, 2);
  expect((await daemon.stop()).exitCode).toBe(0);
  const total = countRows(at.database);
  expect(await restoredRows(at, at.a)).toBe(total);
  expect(await restoredRows(at, at.b)).toBe(total);
});
