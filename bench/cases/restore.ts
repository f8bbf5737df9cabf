import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import { Child } from '../../tests/support/child.ts';
import type { Program } from '../../tests/support/programs.ts';
import { fileUrl } from '../../tests/support/programs.ts';
import type { BenchCase, BenchContext, Row } from '../lib/case.ts';
import { alternate, costOf, costRows, describeCost, settleDisk } from '../lib/cost.ts';
import type { Cost } from '../lib/cost.ts';
import { database } from '../lib/database.ts';
import { sameFiles } from '../lib/same-files.ts';
import { manyFilesReplica, snapshotReplica } from '../lib/replicas.ts';

export const restore: BenchCase = {
  name: 'restore',
  about: 'the large database from one snapshot in a folder; cp of the database, then fsync',
  async run(context) {
    const { cache, options, go } = context;
    const replica = await snapshotReplica(cache, options.size, go);
    const source = await database(cache, options.size);
    const { costs, outputs } = await restoreInTurns(context, replica, source);
    await sameFiles(outputs.go, outputs.ours);
    await removeAll(outputs);
    const work = `restore ${(options.size / 1e9).toFixed(2)} GB, one snapshot`;
    return costRows(work, costs, {
      otherName: 'cp + fsync',
      targets: {
        wall: [
          { of: 'ours/go', max: 1 / 12 },
          { of: 'ours/other', max: 1 },
        ],
        cpu: [{ of: 'ours/go', max: 1 / 12 }],
        memory: [{ of: 'ours', max: 256 }],
      },
    });
  },
};

export const restoreMany: BenchCase = {
  name: 'restore-many',
  about: 'a third of the large database from 159 level-0 files, 4 of level 1 and a snapshot',
  async run(context): Promise<readonly Row[]> {
    const { cache, options } = context;
    const replica = await manyFilesReplica(cache, options.size);
    const { costs, outputs } = await restoreInTurns(context, replica, undefined);
    await sameFiles(outputs.go, outputs.ours);
    await removeAll(outputs);
    const work = `restore ${((options.size * 0.328) / 1e6).toFixed(0)} MB, 164 files`;
    return costRows(work, costs, {
      targets: { wall: [{ of: 'ours/go', max: 1 / 4 }], memory: [{ of: 'ours', max: 256 }] },
    });
  },
};

type Outputs = Record<'go' | 'other' | 'ours', string>;

async function restoreInTurns(
  { options, folder, go, ours, log }: BenchContext,
  replica: string,
  copied: string | undefined,
): Promise<{ costs: { go: Cost[]; ours: Cost[]; other?: Cost[] }; outputs: Outputs }> {
  const outputs: Outputs = {
    go: join(folder, 'restored-by-go.db'),
    other: join(folder, 'copied.db'),
    ours: join(folder, 'restored-by-us.db'),
  };
  const by = (program: Program, output: string) => async () => {
    await prepare(folder, output);
    return costOf(() => program.start('restore', '-o', output, fileUrl(replica)));
  };
  const subjects = { go: by(go, outputs.go), ours: by(ours, outputs.ours) };
  const copy = async (): Promise<Cost> => {
    await prepare(folder, outputs.other);
    return costOf(() => copyDurably(copied ?? '', outputs.other));
  };
  const onResult = (name: string, _round: number, cost: Cost): void =>
    log(`${name === 'other' ? 'cp' : name}: ${describeCost(cost)}`);
  if (copied === undefined)
    return { costs: await alternate<'go' | 'ours', Cost>(options.roundCount, subjects, onResult), outputs };
  const costs = await alternate(options.roundCount, { go: subjects.go, other: copy, ours: subjects.ours }, onResult);
  return { costs, outputs };
}

async function prepare(folder: string, output: string): Promise<void> {
  await rm(output, { force: true });
  await settleDisk(folder);
}

/** `cp`, then `sync` of that one file, which is fsync: what a restore has to do to be durable. */
function copyDurably(from: string, to: string): Child {
  return new Child('cp', 'sh', ['-c', 'cp "$0" "$1" && sync "$1"', from, to]);
}

async function removeAll(outputs: Outputs): Promise<void> {
  for (const path of Object.values(outputs)) await rm(path, { force: true });
}
