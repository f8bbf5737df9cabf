import type { Disturbance } from '../disturbance.ts';

/**
 * The application opens the database with another copy of SQLite than the one that it gave to Litestream, for each transaction,
 * which drops the locks of the other copy. Litestream acknowledges nothing that is not on the replica.
 */
export const otherLibrary: Disturbance = {
  name: 'other library',
  lacks: ({ kind }) => (kind.driver === undefined ? 'an application that replicates itself' : undefined),
  async act(life) {
    await life.settle();
    const library = life.kind.driver === 'better-sqlite3' ? 'node:sqlite' : 'better-sqlite3';
    life.startDaemon({ library, opensOften: true });
    life.startWriter();
    await life.work(500, 2500);
    // It may have ended: opening can be refused.
    await life.killDaemon();
  },
};
