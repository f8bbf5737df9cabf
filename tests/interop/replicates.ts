/** One program replicates while an application writes; both restore. */
import { join } from 'node:path';
import { startWriter } from '../support/start-writer.ts';
import { writeConfig } from '../support/programs.ts';
import { replicaFiles } from '../support/replica-folder.ts';
import { pause } from '../support/wait.ts';
import { pathsOf, settle, untilShipped } from './case.ts';
import type { InteropCase } from './case.ts';
import { compareListings, comparePoints, compareRestores } from './compare.ts';

export interface ReplicatesOptions {
  readonly by: 'go' | 'ts';
  readonly pageSize: number;
  readonly autoVacuum?: 'none' | 'full' | 'incremental';
  /** How long the application writes. */
  readonly durationMs: number;
  /** Levels, snapshots and retention run within seconds. */
  readonly levels?: boolean;
  /** TXIDs and times restored; 0 for the newest state only. */
  readonly pointCount?: number;
}

export function replicates(options: ReplicatesOptions): InteropCase {
  const { by, pageSize, autoVacuum = 'none' } = options;
  const details = [`${pageSize}-byte pages`];
  if (autoVacuum !== 'none') details.push(`auto_vacuum ${autoVacuum}`);
  if (options.levels === true) details.push('levels');
  return {
    name: `${by === 'go' ? 'Go' : 'ours'} replicates, both restore: ${details.join(', ')}`,
    async run(context) {
      const { database, replica, config } = pathsOf(context);
      await writeConfig(config, {
        database,
        replica,
        minCheckpointPageCount: 200,
        ...(options.levels === true
          ? { levels: ['1s', '3s'], snapshotInterval: '4s', l0Retention: '2s' }
          : { checkpointInterval: '500ms' }),
      });
      await using daemon = context[by].replicate(config);
      await using writer = startWriter({
        database,
        progress: join(context.folder, 'progress'),
        seed: context.random.between(0, 2 ** 31),
        pageSize,
        autoVacuum,
        delayMs: 2,
      });
      await untilShipped(replica, 0n, daemon);
      await pause(options.durationMs, 'what the writer writes in that time');
      await writer.stop();
      await daemon.stop();
      settle(database);

      const { transactionCount } = await compareRestores(context, replica, { source: database });
      if (transactionCount === 0) throw new Error('the application wrote nothing');
      const levels = new Set((await replicaFiles(replica)).map((file) => file.level));
      if (options.levels === true && levels.size < 4) throw new Error(`only levels ${[...levels].join()}`);
      const fileCount = await compareListings(context, replica);
      const facts = [
        `${transactionCount} transactions`,
        `${fileCount} lines listed`,
        `levels ${[...levels].join(' ')}`,
      ];
      if (options.pointCount !== undefined) facts.push(await comparePoints(context, replica, options.pointCount));
      return facts.join(', ');
    },
  };
}
