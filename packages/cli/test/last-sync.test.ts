/** The last sync of a process that is told to stop, where it cannot be done: the exit status says so. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { makeRemovable, takeAway } from '../../../tests/support/removable.ts';
import { createDatabase, insertRows } from './support/database.ts';
import { scratchFolder, start, until } from './support/cli.ts';
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
