import type { Disturbance } from '../disturbance.ts';

/** Calls of the file system fail below the local files, or in the folder of a replica. */
export const badDisk: Disturbance = {
  name: 'bad disk',
  async act(life) {
    const { random, paths, store } = life;
    life.hadLostLedger = true;
    const { path: replica } = store.settings;
    const under = store.kind === 'folder' && replica !== undefined && random.chance(0.4) ? replica : paths.metadata;
    const errno = random.pick(['EIO', 'ENOSPC', 'EROFS', 'EMFILE'] as const);
    life.setWeather({ disk: { errno, under, share: random.pick([0.05, 0.3, 1]) } });
    await life.work(300, 2500);
    if (random.chance(0.3)) await life.killDaemon();
    life.setWeather({});
    await life.revive();
    await life.untilAcknowledged();
  },
};
