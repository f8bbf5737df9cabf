import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Disturbance } from '../disturbance.ts';
import type { Life } from '../life.ts';
import { removeFolder } from '../../support/remove-folder.ts';

/** Database, WAL and local files, or a part of them, are put back to an older state, and the application goes on from there. */
export const putBack: Disturbance = {
  name: 'put back',
  async act(life) {
    const { random, paths } = life;
    life.hadLostLedger = true;
    const saved = join(paths.folder, 'saved');
    // The database file alone is a whole database only after a clean stop.
    const isClean = random.chance(0.5);
    await end(life, isClean);
    await life.look();
    copy(paths.database, paths.metadata, dirname(paths.database), saved);
    await life.revive();
    await life.work(100, 1500);
    await end(life, random.chance(0.5));
    await life.look();
    const isWithMetadata = random.chance(0.5);
    for (const path of [paths.database, `${paths.database}-wal`, `${paths.database}-shm`])
      rmSync(path, { force: true });
    if (isWithMetadata) removeFolder(paths.metadata, { force: true });
    const at = (path: string): string => join(saved, basename(path));
    copy(at(paths.database), isWithMetadata ? at(paths.metadata) : undefined, saved, dirname(paths.database));
    removeFolder(saved);
    await life.replaced();
    await life.revive();
    await life.work(100, 1500);
    await life.untilAcknowledged();
  },
};

async function end(life: Life, isClean: boolean): Promise<void> {
  if (isClean) return await life.settle();
  await Promise.all([life.killWriter(), life.killDaemon()]);
}

function copy(database: string, metadata: string | undefined, from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const names = [database, `${database}-wal`, ...(metadata === undefined ? [] : [metadata])];
  for (const name of names.filter((each) => existsSync(each))) {
    const { status, stderr } = spawnSync('cp', ['-a', name, join(to, basename(name))], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${from}: ${stderr}`);
  }
}
