import { pause } from '../../support/wait.ts';
import type { Disturbance } from '../disturbance.ts';

/** kill -9 at a random time. */
export const kill: Disturbance = {
  name: 'kill',
  async act(life) {
    const { random } = life;
    await life.work(20, 600);
    const victim = random.pick(['writer', 'daemon', 'both'] as const);
    await Promise.all([
      victim === 'daemon' ? undefined : life.killWriter(),
      victim === 'writer' ? undefined : life.killDaemon(),
    ]);
    if (random.chance(0.5)) await pause(random.between(1, 300), 'what was not killed goes on');
  },
};
