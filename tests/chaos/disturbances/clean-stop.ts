import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { verifyChain } from '../../support/chain.ts';
import type { Disturbance } from '../disturbance.ts';

/** Application and Litestream stop without an error: then the database file alone is the whole database. */
export const cleanStop: Disturbance = {
  name: 'clean stop',
  async act(life) {
    await life.work(0, 500);
    await life.settle();
    const { database, folder } = life.paths;
    const alone = join(folder, 'alone.db');
    spawnSync('cp', [database, alone]);
    const { transactionCount } = verifyChain(alone);
    if (transactionCount !== life.shown.last) {
      throw new Error(`the database file alone ends with ${transactionCount}, with its WAL with ${life.shown.last}`);
    }
    const walSize = statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (walSize > 0) throw new Error(`the WAL has ${walSize} bytes after a clean stop`);
  },
};
