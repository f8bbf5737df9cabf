import { pause } from '../../support/wait.ts';
import type { Disturbance } from '../disturbance.ts';
import { runCommand } from '../replication.ts';

/** `restore -force` over the database is killed: then the old database is complete, with all its commits, or the new one is. */
export const killedRestore: Disturbance = {
  name: 'killed restore',
  async act(life) {
    const { random, paths } = life;
    await life.work(0, 500);
    await Promise.all([life.killWriter(), life.killDaemon()]);
    const newest = await life.prove();
    const old = life.shown.last;
    const config = life.directConfig();
    const restore = runCommand('restore', '-config', config, '-force', '-o', paths.database, paths.database);
    await pause(random.between(100, 1500), 'the restore runs until it is killed');
    await restore.kill();
    await life.replaced();
    const allowed = restore.exit?.code === 0 ? [newest.transactionCount] : [old, newest.transactionCount];
    if (!allowed.includes(life.shown.last)) {
      throw new Error(`the database ends with ${life.shown.last}, not with ${allowed.join(' or ')}`);
    }
    await life.revive();
    await life.untilAcknowledged();
  },
};
