import type { Disturbance } from '../disturbance.ts';

/** The replica cannot be reached for a while; now and then for long. */
export const unreachable: Disturbance = {
  name: 'unreachable replica',
  async act(life) {
    await life.work(0, 300);
    life.store.cutOff();
    const isLong = life.random.chance(0.05);
    await life.work(isLong ? 60_000 : 200, isLong ? 150_000 : 4000);
    life.store.heal();
    await life.untilAcknowledged();
  },
};
