import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { scratchFolder, tool, toolJson, valueOf, withDatabase } from './support/tool.ts';

/** Tables whose rows are told apart in every way there is. */
function database(): string {
  const path = join(scratchFolder(), 'app.db');
  withDatabase(path, (db) => {
    db.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE plain (id INTEGER PRIMARY KEY, body BLOB);
      CREATE TABLE "odd ""name" (rowid TEXT, _rowid_ TEXT, body BLOB);
      CREATE TABLE hidden (rowid TEXT, _rowid_ TEXT, oid TEXT);
      CREATE TABLE pair (a INTEGER, b TEXT, body BLOB, PRIMARY KEY (b, a)) WITHOUT ROWID;
      CREATE TABLE empty (x);
      CREATE TABLE load_test (id INTEGER PRIMARY KEY, body BLOB);
      CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
      INSERT INTO _litestream_seq VALUES (1, 1);
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 401)
        INSERT INTO plain SELECT i, randomblob(1000) FROM n;
      INSERT INTO "odd ""name" SELECT 'same', 'same', body FROM plain;
      INSERT INTO hidden SELECT id, id, id FROM plain;
      INSERT INTO pair SELECT id % 7, id, body FROM plain;
      INSERT INTO load_test SELECT * FROM plain;
    `);
  });
  return path;
}

const counts = (path: string): unknown[] =>
  ['plain', '"odd ""name"', 'hidden', 'pair', 'load_test', '_litestream_seq'].map((table) =>
    valueOf(path, `SELECT count(*) FROM ${table}`),
  );

test.each([
  ['25', 301],
  ['50', 201],
  ['99.9', 1],
  ['100', 0],
  ['0', 401],
])('deletes %s %% of each table', async (percentage, left) => {
  const path = database();
  const summary = await toolJson('shrink', '-db', path, '-delete-percentage', percentage);
  expect(counts(path)).toEqual([left, left, left, left, left, 1]);
  const gone = 401 - left;
  expect(summary).toMatchObject({
    deleted: { plain: gone, 'odd "name': gone, hidden: gone, pair: gone, load_test: gone, empty: 0 },
    checkpoint: null,
  });
  expect(valueOf(path, 'PRAGMA integrity_check')).toBe('ok');
});

test('VACUUM gives the room back', async () => {
  const path = database();
  const before = statSync(path).size;
  const summary = await toolJson('shrink', '-db', path, '-delete-percentage', '90', '-vacuum');
  expect(summary).toMatchObject({ initial_size: before, final_size: statSync(path).size });
  expect(statSync(path).size).toBeLessThan(before / 4);
});

test('checkpoints, and says when a reader is in its way', async () => {
  const path = database();
  const reader = new DatabaseSync(path);
  try {
    const flags = ['-db', path, '-checkpoint', '-checkpoint-mode'];
    reader.exec('BEGIN; SELECT count(*) FROM plain');
    const passive = await toolJson('shrink', ...flags, 'passive');
    expect(passive['checkpoint']).toMatchObject({ mode: 'PASSIVE', busy: false, checkpointed_frames: 0 });
    expect((passive['checkpoint'] as { frames: number }).frames).toBeGreaterThan(0);
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
    reader.exec('COMMIT');
    const truncate = await toolJson('shrink', ...flags, 'TRUNCATE', '-delete-percentage', '0');
    expect(truncate['checkpoint']).toMatchObject({ mode: 'TRUNCATE', busy: false });
    expect(statSync(`${path}-wal`).size).toBe(0);
  } finally {
    reader.close();
  }
});

test.each([
  [[], 'Error: database path required'],
  [['-db', '/does/not/exist.db'], 'Error: database does not exist'],
  [['-db', '/does/not/exist.db', '-delete-percentage', '101'], 'must be between 0 and 100'],
  [['-db', '/does/not/exist.db', '-checkpoint-mode', 'HARD'], 'must be one of PASSIVE, FULL, RESTART, TRUNCATE'],
])('refuses %j', async (flags, message) => {
  const { code, stderr } = await tool('shrink', ...flags);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});
