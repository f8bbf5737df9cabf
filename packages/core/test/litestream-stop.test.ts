/** Stopping at a bad moment: it ends, and nothing goes on behind it. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Litestream, hasCode } from '../src/index.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const folder = temporaryFolder('litestream-stop');

test('at once after it has begun, while there is no database', async () => {
  for (let round = 0; round < 10; round++) {
    const litestream = new Litestream();
    await litestream.replicate(join(folder, `none-${round}.db`), join(folder, 'replica'));
    await litestream.stop();
    expect(litestream.databases).toEqual([]);
  }
});

test('while a database is being opened', async () => {
  const path = join(folder, 'late.db');
  const litestream = new Litestream();
  const opening = litestream.replicate(path, join(folder, 'late')).then(
    () => 'opened',
    (error: unknown) => error,
  );
  await litestream.stop();
  expect(hasCode(await opening, 'ABORTED')).toBe(true);
  expect(litestream.databases).toEqual([]);
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
  database.close();
  // Nobody has it open, so SQLite could remove the log.
  await expect(litestream.replicate(path, join(folder, 'late'))).rejects.toThrow('was stopped');
  const again = new DatabaseSync(path);
  expect(again.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name LIKE '_litestream%'").get()).toEqual({
    n: 0,
  });
  again.close();
});
