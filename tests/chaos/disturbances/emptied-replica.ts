import type { Disturbance } from '../disturbance.ts';
import { levelOf } from '../store.ts';

const targets: readonly (readonly [string, (level: number) => boolean])[] = [
  ['everything', () => true],
  ['snapshots', (level) => level === 9],
  ['level 0', (level) => level === 0],
  ['what is compacted', (level) => level > 0],
];

/** Another program deletes files of the replica: Litestream notices it, and repairs the replica. */
export const emptiedReplica: Disturbance = {
  name: 'emptied replica',
  async act(life) {
    const { store } = life;
    const [, isTarget] = life.random.pick(targets);
    const names = store.names().filter((name) => isTarget(levelOf(name) ?? -1));
    for (const name of names) await store.remove(name);
    await life.work(0, 1000);
    await life.untilWhole();
  },
};
