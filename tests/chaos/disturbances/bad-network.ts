import { needsBucket } from '../disturbance.ts';
import type { Disturbance } from '../disturbance.ts';
import { proxyFaults } from '../faulty-proxy.ts';

/** A server and a network that fail now and then, in one way or in all of them. */
export const badNetwork: Disturbance = {
  name: 'bad network',
  lacks: needsBucket,
  async act(life) {
    const { random, store } = life;
    const faults = random.chance(0.4) ? proxyFaults : [random.pick(proxyFaults)];
    if (store.proxy !== undefined) store.proxy.trouble = { faults, share: random.pick([0.05, 0.3, 0.7]) };
    await life.work(500, 4000);
    if (random.chance(0.3)) {
      await life.killDaemon();
      life.startDaemon();
      await life.work(500, 2000);
    }
    store.heal();
    await life.untilAcknowledged();
  },
};
