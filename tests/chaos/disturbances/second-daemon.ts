import { until } from '../../support/wait.ts';
import { needsCommandLine } from '../disturbance.ts';
import type { Disturbance } from '../disturbance.ts';
import { patienceMs } from '../life.ts';

/** A second process for the same database: one of the two stands by, and takes over when the other one is killed. */
export const secondDaemon: Disturbance = {
  name: 'second daemon',
  lacks: needsCommandLine,
  async act(life) {
    const first = life.startDaemon();
    const second = life.track(life.replication.start());
    const both = [first, second];
    // The first one, if its lock was deleted with the local files.
    const standby = await until(
      'one of the two to stand by',
      () => both.find((each) => /standing by/.test(each.output)),
      {
        timeoutMs: patienceMs,
        failed: () => both.find((each) => each.exit !== undefined)?.output,
      },
    );
    await life.work(0, 1000);
    if (standby === second) await life.replaceDaemon(second);
    else await life.kill(second);
    await life.untilAcknowledged();
  },
};
