/** A checkpoint that fails behind the barrier may leave nothing that holds the log: the next sync must not trust it. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SqliteDriver } from '../src/index.ts';
import { FileClient, Replica, restore } from '../src/index.ts';
import { Lab, drivers } from './helpers/db-lab.ts';

/** The library, but for one failure of a statement: a full or failing disk, or a lock. */
function failing(driver: SqliteDriver, failure: { sql: RegExp; errcode: number; left: number }): SqliteDriver {
  return {
    name: driver.name,
    version: driver.version,
    open(path, options) {
      const connection = driver.open(path, options);
      return {
        exec: (sql) => connection.exec(sql),
        all: (sql) => connection.all(sql),
        close: () => connection.close(),
        get(sql) {
          if (failure.left > 0 && failure.sql.test(sql)) {
            failure.left--;
            throw Object.assign(new Error(`injected ${failure.errcode}`), { errcode: failure.errcode });
          }
          return connection.get(sql);
        },
      };
    },
  };
}

describe.each([
  { what: 'disk full in the checkpoint (SQLITE_FULL)', sql: /wal_checkpoint/, errcode: 13, left: 1 },
  { what: 'I/O error in the checkpoint (SQLITE_IOERR)', sql: /wal_checkpoint/, errcode: 10, left: 1 },
  { what: 'no read mark to be had (SQLITE_PROTOCOL)', sql: /schema_version/, errcode: 15, left: 1 },
])('$what', ({ sql, errcode, left }) => {
  it('loses no commit that was acknowledged', async () => {
    const failure = { sql, errcode, left: 0 };
    await using lab = new Lab(failing(drivers[0] as SqliteDriver, failure));
    const app = lab.app(['CREATE TABLE t (id INTEGER PRIMARY KEY, payload BLOB)']);
    app.exec('PRAGMA wal_autocheckpoint = 0');
    app.exec('CREATE TABLE other (id INTEGER PRIMARY KEY, payload BLOB)');
    const db = lab.db();
    await db.open();
    await using client = new FileClient({ path: join(lab.folder, 'replica') });
    await client.init();
    const replica = new Replica(client, db);
    app.exec('INSERT INTO t (payload) VALUES (randomblob(500))');
    await replica.replicated();
    failure.left = left;
    await expect(db.checkpoint('PASSIVE')).rejects.toThrow(/injected|busy|lock/i);
    expect(failure.left).toBe(0);
    // Life goes on: a sync that finds nothing, or something; both say "caught up".
    await replica.replicated();
    // Between two syncs: a commit, the application's own checkpoint, and another commit, which starts the log over.
    // Longer than the old log, so that no old frame is left to tell.
    app.exec("INSERT INTO other (payload) VALUES ('to be lost'), (randomblob(200000))");
    app.get('PRAGMA wal_checkpoint(RESTART)');
    app.exec("INSERT INTO t (payload) VALUES ('after')");
    await replica.replicated();
    const output = join(lab.folder, 'restored.db');
    await restore(client, { output });
    const copy = lab.driver.open(output);
    const found = copy.get("SELECT COUNT(*) AS n FROM other WHERE payload = 'to be lost'");
    copy.close();
    expect(found?.['n']).toBe(1);
    await lab.verify();
  });
});
