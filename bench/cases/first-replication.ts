import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Child } from '../../tests/support/child.ts';
import type { Program } from '../../tests/support/programs.ts';
import { fileUrl } from '../../tests/support/programs.ts';
import type { BenchCase } from '../lib/case.ts';
import { alternate, costOf, costRows, describeCost, settleDisk } from '../lib/cost.ts';
import type { Cost } from '../lib/cost.ts';
import { database } from '../lib/database.ts';
import { filesOf } from '../lib/replicas.ts';

export const firstReplication: BenchCase = {
  name: 'first-replication',
  about: '`replicate -once` of the large database to an empty folder',
  async run({ options, cache, folder, go, ours, log }) {
    const source = await database(cache, options.size);
    const metadata = join(dirname(source), `.${basename(source)}-litestream`);
    const replica = join(folder, 'replica');
    const forget = async (): Promise<void> => {
      for (const path of [metadata, replica]) await rm(path, { recursive: true, force: true });
    };
    const by = (program: Program) => async () => {
      await forget();
      await settleDisk(folder);
      const cost = await costOf(() => program.start('replicate', '-once', source, fileUrl(replica)));
      const [snapshot] = await filesOf(replica, 0);
      if (snapshot === undefined) throw new Error(`${program.name} replicated nothing`);
      log(`${program.name}: ${describeCost(cost)}, file of ${(snapshot.size / options.size).toFixed(2)} of the size`);
      return cost;
    };
    const copy = async (): Promise<Cost> => {
      await forget();
      await settleDisk(folder);
      return costOf(() => new Child('cp', 'sh', ['-c', 'cp "$0" "$1" && sync "$1"', source, replica]));
    };
    const costs = await alternate(options.roundCount, { go: by(go), other: copy, ours: by(ours) });
    await forget();
    return costRows(`first replication of ${(options.size / 1e9).toFixed(2)} GB`, costs, {
      otherName: 'cp + fsync',
      targets: { wall: [{ of: 'ours/go', max: 1 / 4 }] },
    });
  },
};
