import { DatabaseSync } from 'node:sqlite';
import type { Disturbance } from '../disturbance.ts';

/** While nothing runs, the database gets another page size. SQLite needs another journal mode for that. */
export const otherPageSize: Disturbance = {
  name: 'other page size',
  async act(life) {
    await life.work(0, 500);
    await life.settle();
    const sizes = life.volume === undefined ? [512, 1024, 4096, 16384, 65536] : [512, 1024, 4096];
    {
      using database = new DatabaseSync(life.paths.database, { timeout: 20_000 });
      database.exec('PRAGMA journal_mode = delete');
      database.exec(`PRAGMA page_size = ${life.random.pick(sizes)}; VACUUM; PRAGMA journal_mode = wal`);
    }
    await life.revive();
    await life.untilAcknowledged();
  },
};
