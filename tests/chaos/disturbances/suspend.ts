import type { Disturbance } from '../disturbance.ts';

/** Litestream or the writer is suspended for a while, as in a virtual machine that migrates. */
export const suspend: Disturbance = {
  name: 'suspend',
  async act(life) {
    await life.work(0, 300);
    const victims = life.random.pick([[life.daemon], [life.writer], [life.daemon, life.writer]]);
    for (const victim of victims) victim?.signal('SIGSTOP');
    await life.work(100, 3000);
    for (const victim of victims) victim?.signal('SIGCONT');
    await life.untilAcknowledged();
  },
};
