import { pause } from '../../support/wait.ts';
import type { Disturbance } from '../disturbance.ts';

/** The replica cannot be reached when Litestream stops: the exit status says that commits are missing there. */
export const failedStop: Disturbance = {
  name: 'failed stop',
  async act(life) {
    const { store } = life;
    await life.killDaemon();
    life.startDaemon({ lastSyncMs: 2000 });
    await life.untilAcknowledged();
    store.cutOff();
    await pause(100, 'an upload under way fails');
    // Of the database, not of the log of the writer: a commit may be uploaded before the writer has logged it.
    await life.look();
    const sent = life.shown.last;
    await life.work(100, 500);
    await life.stopWriter();
    await life.look();
    const code = await life.stopDaemon();
    store.heal();
    if (code === 0 && life.shown.last > sent) {
      throw new Error(`exit status 0, but transactions from ${sent + 1} to ${life.shown.last} are not on the replica`);
    }
    await life.revive();
    await life.untilAcknowledged();
  },
};
