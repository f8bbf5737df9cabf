import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pause, until } from '../../support/wait.ts';
import { needsCommandLine } from '../disturbance.ts';
import type { Disturbance } from '../disturbance.ts';

/** `cp backup.db app.db` under a running daemon, with everything checkpointed and no application at work. */
export const copiedOver: Disturbance = {
  name: 'copied over',
  lacks: needsCommandLine,
  async act(life) {
    const { database, folder } = life.paths;
    const backup = join(folder, 'backup.db');
    await life.pauseWriting();
    await emptyWal(database);
    spawnSync('cp', [database, backup]);
    life.startWriter();
    await life.work(100, 1000);
    await life.pauseWriting();
    await emptyWal(database);
    await life.look();
    await pause(500, 'the daemon looks at the file as it is');
    spawnSync('cp', [backup, database]);
    // SQLite refuses a database of more pages than the wal-index states, until Litestream has noticed and opened it from scratch.
    await until('a database that can be read', () => canBeRead(database), { timeoutMs: 20_000, intervalMs: 50 });
    await life.replaced();
    life.startWriter();
    await life.untilAcknowledged();
  },
};

async function emptyWal(path: string): Promise<void> {
  using database = new DatabaseSync(path, { timeout: 100 });
  const checkpoint = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)');
  // The daemon's read transaction is in the way now and then.
  await until('an empty WAL', () => checkpoint.get()?.['busy'] === 0);
}

function canBeRead(path: string): boolean {
  using database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
  try {
    return database.prepare('PRAGMA schema_version').get() !== undefined;
  } catch {
    return false;
  }
}
