import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { needsCommandLine } from '../disturbance.ts';
import type { Disturbance } from '../disturbance.ts';
import { removeFolder } from '../../support/remove-folder.ts';

const commands = [
  'cp "$FROM" "$TO"',
  'cat "$FROM" > "$TO"',
  'install -m 600 "$FROM" "$TO"',
  '(sleep 1.2; cat "$FROM") > "$TO"',
  '(head -c 5000 "$FROM"; sleep 1.2; tail -c +5001 "$FROM") > "$TO"',
] as const;

/** A database is copied to the path that Litestream waits for: it is whole afterwards, and replicated. */
export const arrival: Disturbance = {
  name: 'arrival',
  lacks: needsCommandLine,
  async act(life) {
    await life.settle();
    life.hadLostLedger = true;
    const { database, folder } = life.paths;
    const source = join(folder, 'arriving.db');
    spawnSync('mv', [database, source]);
    for (const suffix of ['-wal', '-shm']) rmSync(database + suffix, { force: true });
    if (life.random.chance(0.3)) renameSync(life.paths.metadata, `${life.paths.metadata}-lost`);
    life.startDaemon();
    await life.untilSaid(/replicating to/);
    await life.work(0, 1000);
    const { status, stderr } = spawnSync('sh', ['-c', life.random.pick(commands)], {
      env: { ...process.env, FROM: source, TO: database },
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    await life.look();
    life.startWriter();
    await life.untilAcknowledged();
    rmSync(source);
    removeFolder(`${life.paths.metadata}-lost`, { force: true });
  },
};
