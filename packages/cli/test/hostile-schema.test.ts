/** A database whose schema SQLite would need minutes to read does not stop other databases. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { scratchFolder, start, until } from './support/cli.ts';
import { createDatabase, insertRows } from './support/database.ts';
import { hasFiles, ltxNames } from './support/replica.ts';

const TABLE_COUNT = 100_000;

/** The tables share one root page, and their rows are inserted directly: `CREATE TABLE` would take minutes. */
function addTables(path: string): void {
  const db = new DatabaseSync(path, { defensive: false });
  db.exec('PRAGMA busy_timeout = 60000; PRAGMA writable_schema = ON; BEGIN IMMEDIATE');
  const insert = db.prepare(`INSERT INTO sqlite_schema VALUES ('table', ?, ?, 2, ?)`);
  for (let index = 0; index < TABLE_COUNT; index += 1) {
    const name = `t${index}`;
    insert.run(name, name, `CREATE TABLE ${name} (x)`);
  }
  db.exec('COMMIT');
  db.close();
}

test('a database with 100,000 tables, before the start or while the daemon runs, does not stop others', async () => {
  const folder = scratchFolder();
  const paths = ['early', 'late', 'good'].map((name) => join(folder, `${name}.db`));
  const [early = '', late = '', good = ''] = paths;
  for (const path of paths) createDatabase(path);
  addTables(early);
  const entries = paths.map((path) => `{path: ${path}, replica: {path: ${path}-replica, sync-interval: 20ms}}`);
  const config = join(folder, 'litestream.yml');
  writeFileSync(config, `dbs: [${entries.join(', ')}]\n`);
  const daemon = start(['replicate', '-config', config]);
  await daemon.said('the schema has more than 20000 objects');
  for (const path of [late, good]) await until(() => hasFiles(`${path}-replica`), `files of ${path}`);

  addTables(late);
  const files = (): number => ltxNames(`${good}-replica`).length;
  for (let round = 0; round < 3; round += 1) {
    const before = files();
    insertRows(good, 1);
    await until(() => files() > before, 'the next file of good.db');
  }
  daemon.child.kill('SIGTERM');
  await daemon.said('signal received');
  // The second signal ends the attempts to sync the database that cannot be synced.
  const { exitCode } = await daemon.stop();
  expect(exitCode).toBe(1);
});
