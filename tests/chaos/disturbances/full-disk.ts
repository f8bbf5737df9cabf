import type { Disturbance } from '../disturbance.ts';

const mib = 2 ** 20;

/** The disk of the database is full, or nearly so: replication goes on once there is room again. */
export const fullDisk: Disturbance = {
  name: 'full disk',
  lacks: ({ volume }) => (volume === undefined ? 'a small disk, which takes root to mount' : undefined),
  async act(life) {
    const { random, volume } = life;
    // An application may end when its own commits fail.
    await life.pauseWriting();
    volume?.fill(random.pick([0, 0.05, 0.5, 2, 4]) * mib);
    life.startWriter();
    await life.work(300, 3000);
    await life.killWriter();
    if (random.chance(0.3)) await life.killDaemon();
    volume?.empty();
    await life.revive();
    await life.untilAcknowledged();
  },
};
