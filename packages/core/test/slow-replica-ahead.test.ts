/** A replica that takes longer for each answer than a database waits for it when it opens. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { FileClient, Litestream, systemClock } from '../src/index.ts';
import type { Logger, LtxFileInfo, Op } from '../src/index.ts';
import { parts } from '../src/litestream/composition/tokens.ts';
import { CircuitBreaker } from '../src/litestream/replication/circuit-breaker.ts';
import { pause, until } from '../../../tests/support/wait.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { removeFolder } from '../../../tests/support/remove-folder.ts';

const folder = temporaryFolder('slow-ahead');
const path = join(folder, 'app.db');
const LISTING_MS = 400;

class PlaceClient extends FileClient {
  isDown = false;
  isSlow = false;

  override async *ltxFiles(
    level: number,
    query?: { seek?: bigint | undefined; useMetadata?: boolean | undefined } & Op,
  ): AsyncGenerator<LtxFileInfo> {
    if (this.isSlow) await pause(LISTING_MS, 'a slow backend');
    yield* super.ltxFiles(level, query);
  }

  override async writeLtxFile(...args: Parameters<FileClient['writeLtxFile']>): Promise<LtxFileInfo> {
    if (this.isDown) throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
    return await super.writeLtxFile(...args);
  }
}

test('is continued above where it is ahead, after one reopening', async () => {
  const app = new DatabaseSync(path);
  onTestFinished(() => app.close());
  app.exec('PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)');
  const insert = (): void => app.exec('INSERT INTO t (x) VALUES (randomblob(1000))');
  const [behind, ahead] = [
    new PlaceClient({ path: join(folder, 'behind') }),
    new PlaceClient({ path: join(folder, 'ahead') }),
  ];
  const options = { syncIntervalMs: 50, monitorIntervalMs: 100 };
  const first = new Litestream();
  const db = await first.replicate(path, [behind, ahead], options);
  await db.replicated();
  behind.isDown = true;
  const aheadAt = (): bigint => db.status().replicas[1]?.position.txid ?? 0n;
  while (aheadAt() < 30n) {
    const before = aheadAt();
    insert();
    await until('it has the commit', () => aheadAt() > before);
  }
  await first.stop({ finalSync: false });
  removeFolder(join(folder, '.app.db-litestream'), { force: true });
  behind.isDown = false;
  ahead.isSlow = true;

  let reopened = 0;
  const info = (message: string): void => void (reopened += message.includes('reopening the database') ? 1 : 0);
  const quiet = (): void => undefined;
  const logger: Logger = { trace: quiet, debug: quiet, info, warn: quiet, error: quiet, child: () => logger };
  // Waits for an eighth of the time that a listing takes.
  const impatient = {
    ...systemClock,
    schedule: (_: number, task: () => void): (() => void) =>
      systemClock.schedule(LISTING_MS / 8, task, { keepAlive: true }),
  };
  const litestream = new Litestream({
    logger,
    composition: { root: (container) => container.registerValue(parts.breaker, new CircuitBreaker(impatient)) },
  });
  onTestFinished(async () => await litestream.stop({ finalSync: false }).catch(() => undefined));
  // The database opens with the answer of the other one.
  const again = await litestream.replicate(path, [behind, ahead], options);
  insert();
  await until('both have it', async () => {
    await again.replicated().catch(() => undefined);
    return again.position.txid > 30n;
  });
  expect(reopened).toBe(1);
  insert();
  await again.replicated();
  const rows = (file: string): unknown => {
    const database = new DatabaseSync(file);
    const found = database.prepare('SELECT id, hex(x) AS x FROM t').all();
    database.close();
    return found;
  };
  for (const name of ['behind', 'ahead']) {
    const { output } = await litestream.restore(join(folder, name), { output: join(folder, `${name}.db`) });
    expect(rows(output)).toEqual(rows(path));
  }
});
