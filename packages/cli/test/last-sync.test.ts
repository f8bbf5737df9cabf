/** The last sync of a process that is told to stop, where it cannot be done: the exit status says so. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { makeRemovable, takeAway } from '../../../tests/support/removable.ts';
import { countRows, createDatabase, insertRows } from './support/database.ts';
import { run, scratchFolder, start, until } from './support/cli.ts';
import type { Result } from './support/cli.ts';
import { hasFiles } from './support/replica.ts';

interface Setup {
  readonly folder: string;
  readonly database: string;
  readonly replica: string;
  readonly url: string;
}

function setup(): Setup {
  const folder = scratchFolder();
  const database = join(folder, 'app.db');
  const replica = join(folder, 'replica');
  createDatabase(database, 1);
  return { folder, database, replica, url: `file://${replica}` };
}

describe('stopping when the replica is gone', () => {
  function removable(): Setup {
    const at = setup();
    makeRemovable(at.replica);
    return at;
  }

  test('a second signal ends the last sync at once', async () => {
    const at = removable();
    const config = join(at.folder, 'litestream.yml');
    // So long that nothing but the signal ends it.
    writeFileSync(
      config,
      `shutdown-timeout: 1h\nshutdown-sync-timeout: 1h\ndbs: [{path: ${at.database}, replica: {path: ${at.replica}}}]\n`,
    );
    const daemon = start(['replicate', '-config', config]);
    await daemon.said('msg="replicating to"');
    await until(() => hasFiles(at.replica), 'a file on the replica');
    takeAway(at.replica);
    insertRows(at.database, 1);
    daemon.child.kill('SIGINT');
    await daemon.said('msg="shutdown sync failed, retrying"');
    const { exitCode, stderr } = await daemon.stop('SIGINT');
    expect(stderr).toContain('Error: shutdown interrupted by interrupt.');
    expect(exitCode).toBe(1);
  });

  test.each(['reload', 'stop'] as const)('a database that left before by %s counts, too', async (way) => {
    const at = removable();
    const config = join(at.folder, 'litestream.yml');
    const socket = join(at.folder, 'socket');
    const other = join(at.folder, 'other.db');
    createDatabase(other, 1);
    const head = `shutdown-sync-timeout: 1s\nshutdown-sync-interval: 100ms\nsocket: {enabled: true, path: ${socket}}\ndbs:\n`;
    const kept = `  - {path: ${other}, replica: {path: ${join(at.folder, 'other-replica')}}}\n`;
    writeFileSync(config, `${head}${kept}  - {path: ${at.database}, replica: {path: ${at.replica}}}\n`);
    const daemon = start(['replicate', '-config', config]);
    await until(() => hasFiles(at.replica), 'a file on the replica');
    takeAway(at.replica);
    insertRows(at.database, 1);
    if (way === 'reload') {
      writeFileSync(config, head + kept);
      daemon.child.kill('SIGHUP');
      await daemon.said('shutdown sync failed after timeout');
      await daemon.said('msg="config reloaded"');
    } else {
      expect((await run(['stop', '-socket', socket, at.database])).exitCode).toBe(1);
    }
    const { exitCode, stderr } = await daemon.stop('SIGTERM');
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/^Error: .*shutdown sync timeout/)]);
  });

  test('the timeout of the config bounds it', async () => {
    const at = removable();
    const config = join(at.folder, 'litestream.yml');
    writeFileSync(
      config,
      `shutdown-sync-timeout: 1s\nshutdown-sync-interval: 100ms\ndbs: [{path: ${at.database}, replica: {path: ${at.replica}}}]\n`,
    );
    const daemon = start(['replicate', '-config', config]);
    await daemon.said('msg="replicating to"');
    await until(() => hasFiles(at.replica), 'a file on the replica');
    takeAway(at.replica);
    insertRows(at.database, 1);
    const startMs = performance.now();
    const { exitCode, stdout, stderr } = await daemon.stop('SIGTERM');
    expect(performance.now() - startMs).toBeGreaterThan(500);
    // By default it would have half a minute.
    const left = [...stdout.matchAll(/shutdown sync failed, retrying.* remaining=([\d.]+)(ms|s) /g)];
    for (const [, amount, unit] of left) expect(Number(amount) * (unit === 's' ? 1000 : 1)).toBeLessThanOrEqual(1000);
    expect(stdout).toContain('msg="shutdown sync failed after timeout"');
    expect(stdout).toContain('level=ERROR msg="failed to close database"');
    expect(stdout).not.toContain('msg="litestream shut down"');
    expect(stderr).toMatch(/^Error: close store: shutdown sync timeout after \d+ attempts: .+\n$/);
    expect(exitCode).toBe(1);
  });

  test.each([
    [0, 1],
    [7, 7],
  ])('a program of -exec that ends with %i makes it %i where the last sync fails', async (ended, expected) => {
    const at = removable();
    const config = join(at.folder, 'litestream.yml');
    writeFileSync(
      config,
      `shutdown-sync-timeout: 300ms\nshutdown-sync-interval: 100ms\ndbs: [{path: ${at.database}, replica: {path: ${at.replica}}}]\n`,
    );
    const waiting = `until test -e ${at.folder}/go; do sleep 0.05; done; exit ${ended}`;
    const daemon = start(['replicate', '-config', config, '-exec', `sh -c "${waiting}"`]);
    await until(() => hasFiles(at.replica), 'a file on the replica');
    takeAway(at.replica);
    insertRows(at.database, 1);
    writeFileSync(join(at.folder, 'go'), '');
    const { exitCode, stdout } = await daemon.ended;
    expect(stdout).toContain('level=ERROR msg="failed to close database"');
    expect(exitCode).toBe(expected);
  });

  test('a database that could never be opened is a failure, too', async () => {
    const at = setup();
    const app = new DatabaseSync(at.database);
    app.exec("BEGIN EXCLUSIVE; INSERT INTO t VALUES ('held')");
    const daemon = start(['replicate', at.database, at.url]);
    await daemon.said('msg="database is locked, waiting"');
    const { exitCode, stdout } = await daemon.stop('SIGTERM');
    app.close();
    expect(stdout).toContain('level=ERROR msg="failed to close database"');
    expect(exitCode).toBe(1);
  });
});

const PATIENCE = 'shutdown-sync-timeout: 300ms\nshutdown-sync-interval: 100ms\n';

function configOf(at: Setup, extra = ''): string {
  const config = join(at.folder, 'litestream.yml');
  writeFileSync(config, `${PATIENCE}dbs: [{path: ${at.database}, ${extra}replica: {path: ${at.replica}}}]\n`);
  return config;
}

describe('stopping where the last commits cannot be read', () => {
  test('no room for the local file', async () => {
    const at = setup();
    // Of KiB: what follows needs a larger file.
    const daemon = start(['replicate', '-config', configOf(at)], { fileSizeMaxKiB: 200 });
    await until(() => hasFiles(at.replica), 'a file on the replica');
    const app = new DatabaseSync(at.database);
    app.exec('INSERT INTO t VALUES (randomblob(400000))');
    const { exitCode, stdout } = await daemon.stop('SIGTERM');
    app.close();
    expect(stdout).toContain('level=ERROR msg="failed to close database"');
    expect(exitCode).toBe(1);
  });

  test('the WAL was deleted under an application that writes on', async () => {
    const at = setup();
    const app = new DatabaseSync(at.database);
    app.exec('PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (1)');
    const daemon = start(['replicate', '-config', configOf(at)]);
    await until(() => hasFiles(at.replica), 'a file on the replica');
    rmSync(`${at.database}-wal`);
    app.exec('INSERT INTO t VALUES (2)');
    const { exitCode, stdout } = await daemon.stop('SIGTERM');
    app.close();
    expect(stdout).toContain('level=ERROR msg="failed to close database"');
    expect(exitCode).toBe(1);
  });

  test('a file that may hold commits is not ready', async () => {
    const at = setup();
    const whole = readFileSync(at.database);
    writeFileSync(at.database, whole.subarray(0, whole.length - 4096));
    const daemon = start(['replicate', '-config', configOf(at)]);
    await daemon.said('msg="replicating to"');
    const { exitCode, stdout } = await daemon.stop('SIGTERM');
    expect(stdout).toMatch(/level=ERROR msg="failed to close database" error=.*not ready/);
    expect(exitCode).toBe(1);
  });
});

test('one of several replicas is gone', async () => {
  const at = setup();
  const other = join(at.folder, 'other');
  makeRemovable(other);
  const config = join(at.folder, 'litestream.yml');
  const replicas = `replicas: [{path: ${at.replica}}, {path: ${other}}]`;
  // The other one gets its time, however long that is: a second signal ends the attempts.
  const patience = 'shutdown-timeout: 1h\nshutdown-sync-timeout: 1h\nshutdown-sync-interval: 100ms\n';
  writeFileSync(config, `${patience}dbs: [{path: ${at.database}, ${replicas}}]\n`);
  const daemon = start(['replicate', '-config', config]);
  await until(() => hasFiles(at.replica) && hasFiles(other), 'files on both replicas');
  takeAway(other);
  insertRows(at.database, 1);
  daemon.child.kill('SIGTERM');
  await daemon.said(/ msg="shutdown sync failed, retrying" .*\/other\b/);
  await until(async () => (await restoredRows(at)) === 2, 'the last row on the replica that is there');
  const { exitCode } = await daemon.stop('SIGTERM');
  expect(exitCode).toBe(1);
});

async function restoredRows(at: Setup): Promise<number> {
  const copy = join(at.folder, `copy-${Math.random().toString(36).slice(2)}.db`);
  const { exitCode } = await run(['restore', '-o', copy, at.url]);
  expect(exitCode).toBe(0);
  return countRows(copy);
}

test('one that stands by does the last sync where the other one was killed', async () => {
  const at = setup();
  const first = start(['replicate', at.database, at.url]);
  await until(() => hasFiles(at.replica), 'a file on the replica');
  const second = start(['replicate', at.database, at.url]);
  await second.said('msg="another litestream replicates this database, standing by"');
  const app = new DatabaseSync(at.database);
  // Begun before: a suspended process may hold a lock.
  app.exec("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE; INSERT INTO t VALUES ('a'), ('b'), ('c')");
  await first.asOneStep(() => {
    app.exec('COMMIT');
    first.child.kill('SIGKILL');
  });
  await first.ended;
  app.close();
  const { exitCode } = await second.stop('SIGTERM');
  expect(exitCode).toBe(0);
  expect(await restoredRows(at)).toBe(4);
});

describe('-once', () => {
  const once = (at: Setup): Promise<Result> => run(['replicate', '-once', at.database, at.url]);

  test('the replica is gone', async () => {
    const at = setup();
    makeRemovable(at.replica);
    expect((await once(at)).exitCode).toBe(0);
    takeAway(at.replica);
    insertRows(at.database, 1);
    expect((await once(at)).exitCode).toBe(1);
  });

  test('the database is locked', async () => {
    const at = setup();
    const app = new DatabaseSync(at.database);
    app.exec("BEGIN EXCLUSIVE; INSERT INTO t VALUES ('held')");
    expect((await once(at)).exitCode).toBe(1);
    app.close();
  });

  test('the WAL was deleted under an application', async () => {
    const at = setup();
    const app = new DatabaseSync(at.database);
    app.exec('PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (1)');
    rmSync(`${at.database}-wal`);
    expect((await once(at)).exitCode).toBe(1);
    app.close();
  });

  test('no room for the local file', async () => {
    const at = setup();
    const app = new DatabaseSync(at.database);
    app.exec('INSERT INTO t VALUES (randomblob(400000))');
    app.close();
    const { exitCode } = await run(['replicate', '-once', at.database, at.url], { fileSizeMaxKiB: 200 });
    expect(exitCode).toBe(1);
  });
});
