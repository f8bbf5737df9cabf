import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { verifyChain } from '../../support/chain.ts';
import { startWriter } from '../../support/start-writer.ts';
import { until } from '../../support/wait.ts';
import type { Disturbance } from '../disturbance.ts';
import { patienceMs } from '../life.ts';
import { CommandLine, runCommand } from '../replication.ts';
import { Shown } from '../shown.ts';

const conflict = /level=ERROR msg="another process writes to this replica/;

/**
 * A second machine restores the database and replicates it to the same place, as in a deploy or with a copied config. One of the
 * two reports it, and acknowledges nothing from then on. A restore has what the other one acknowledged.
 */
export const twoWriters: Disturbance = {
  name: 'two writers',
  async act(life) {
    const { random, store, pageSize, autoVacuum } = life;
    const folder = join(life.paths.folder, `rival-${life.restoreCount}`);
    mkdirSync(folder);
    const database = join(folder, 'app.db');
    const progress = join(folder, 'progress');
    await runCommand('restore', '-config', life.directConfig(), '-o', database, life.paths.database).done();
    const parts = { folder, database, replica: store.settings, random, pageSize, autoVacuum, progress, delayMs: 50 };
    const replication = new CommandLine({ ...parts, pauseFile: join(folder, 'paused') });
    life.hadTwoWriters = true;
    const daemon = life.track(replication.start());
    const seed = random.between(0, 2 ** 31);
    const writer = life.track(startWriter({ database, progress, pageSize, autoVacuum, seed, delayMs: 50, calm: true }));
    const ours = life.startDaemon();
    const loser = await until(
      'one of the two to give up',
      () => [ours, daemon].find((each) => conflict.test(each.output)),
      {
        timeoutMs: patienceMs,
        failed: () => [ours, daemon].find((each) => each.exit !== undefined)?.output,
      },
    );
    const loses = loser === ours ? life.replication : replication;
    const wins = loser === ours ? replication : life.replication;
    // An answer that was in progress may still arrive.
    const told = await loses.acknowledged();
    const before = await wins.acknowledged();
    await until('the other one goes on', async () => (await wins.acknowledged()).count > before.count + 3, {
      timeoutMs: patienceMs,
    });
    if ((await loses.acknowledged()).count > told.count + 1) throw new Error('the loser goes on acknowledging');
    await writer.stop({ early: true });
    const { txn } = await replication.acknowledged();
    await life.kill(daemon);
    if (loser === daemon) return;
    await life.killDaemon();
    const shown = new Shown();
    shown.look(database, txn);
    const restored = await life.restore();
    shown.assertShown(verifyChain(restored));
    shown.assertHolds(restored, txn);
    await life.newBeginning();
    await life.revive();
    await life.untilAcknowledged();
  },
};
