import { rmSync } from 'node:fs';
import { needsCommandLine } from '../disturbance.ts';
import type { Disturbance } from '../disturbance.ts';

/**
 * A script deletes the WAL beside a running application. Litestream reports it and closes its connections, so the application's
 * last connection moves the deleted WAL into the database file. Nothing that was acknowledged is lost.
 */
export const deletedWal: Disturbance = {
  name: 'deleted WAL',
  lacks: needsCommandLine,
  async act(life) {
    await life.work(50, 500);
    await life.untilAcknowledged();
    const from = life.daemon?.output.length ?? 0;
    rmSync(`${life.paths.database}-wal`, { force: true });
    await life.work(0, 1000);
    await life.untilSaid(/the -wal file was deleted while in use/, from);
    await life.stopWriter();
    life.startWriter();
    await life.untilAcknowledged();
  },
};
