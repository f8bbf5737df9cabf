/** Stopping at a bad moment: it ends, and nothing goes on behind it. */
import { once } from 'node:events';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Litestream, LitestreamError, hasCode } from '../src/index.ts';
import { MemoryClient } from '../src/testing/memory-client.ts';
import { until } from '../../../tests/support/wait.ts';
import { interceptFs } from './helpers/intercept-fs.ts';
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

test.each([1, 2])('rejects where the last sync of %i databases fails, after all are closed', async (count) => {
  let isAway = false;
  const client = (): MemoryClient =>
    new MemoryClient({
      before: () => {
        if (isAway) throw new LitestreamError('away', { code: 'UNAUTHORIZED' });
      },
    });
  const litestream = new Litestream({ store: false });
  const apps = [];
  for (let index = 0; index < count; index++) {
    const path = join(folder, `last-${count}-${index}.db`);
    const app = new DatabaseSync(path);
    apps.push(app);
    app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
    const database = await litestream.replicate(path, client());
    await database.replicated();
  }
  isAway = true;
  for (const app of apps) app.exec('INSERT INTO t VALUES (1)');
  const failure: unknown = await litestream.stop({ timeoutMs: 0 }).catch((error: unknown) => error);
  if (count === 1) expect(hasCode(failure, 'UNAUTHORIZED')).toBe(true);
  else expect((failure as AggregateError).errors).toHaveLength(count);
  expect(litestream.databases).toEqual([]);
  for (const app of apps) app.close();
});

test('keeps the lock of the metadata folder until no compaction is under way', async () => {
  const order: string[] = [];
  class Slow extends MemoryClient {
    override async writeLtxFile(
      ...[file, body, options = {}]: Parameters<MemoryClient['writeLtxFile']>
    ): ReturnType<MemoryClient['writeLtxFile']> {
      const { signal } = options;
      if (file.level === 1 && signal !== undefined) {
        order.push('compaction begins');
        await once(signal, 'abort');
        order.push('compaction ends');
      }
      return await super.writeLtxFile(file, body, options);
    }
  }
  const client = new Slow();
  const path = join(folder, 'compacting.db');
  const app = new DatabaseSync(path);
  app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (x)');
  const litestream = new Litestream({ store: { levels: [{ level: 1, intervalMs: 50 }] } });
  const database = await litestream.replicate(path, client);
  await database.replicated();
  await until('a compaction is under way', () => order.length > 0);
  using _ = interceptFs('rmSync', (file) => {
    if (String(file).endsWith('lock-holder.json')) order.push('lock released');
  });
  await database.stop();
  expect(order).toEqual(['compaction begins', 'compaction ends', 'lock released']);
  app.close();
  await litestream.stop();
});
