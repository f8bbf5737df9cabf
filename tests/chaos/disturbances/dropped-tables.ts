import { DatabaseSync } from 'node:sqlite';
import type { Disturbance } from '../disturbance.ts';

/** The tables of Litestream are dropped, as by an ORM that makes the schema equal to its models. */
export const droppedTables: Disturbance = {
  name: 'dropped tables',
  async act(life) {
    await life.work(0, 500);
    {
      using database = new DatabaseSync(life.paths.database, { timeout: 20_000 });
      database.exec('DROP TABLE IF EXISTS _litestream_seq; DROP TABLE IF EXISTS _litestream_lock');
    }
    await life.work(0, 500);
    await life.untilAcknowledged();
  },
};
