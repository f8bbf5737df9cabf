/** A program is stopped while the application writes, and checkpoints after each transaction. */
import { join } from 'node:path';
import { ChainWriter } from '../support/chain-writer.ts';
import { writeConfig } from '../support/programs.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { startWriter } from '../support/start-writer.ts';
import { pause } from '../support/wait.ts';
import { pathsOf, settle, untilShipped } from './case.ts';
import type { InteropCase } from './case.ts';
import { compareRestores } from './compare.ts';

export interface StopsUnderLoadOptions {
  readonly by: 'go' | 'ts';
  readonly stopCount: number;
}

/**
 * Each time that it has stopped, what it shipped must restore to a whole database; and to all of it once it has run
 * after the application ended.
 */
export function stopsUnderLoad({ by, stopCount }: StopsUnderLoadOptions): InteropCase {
  return {
    name: `${by === 'go' ? 'Go' : 'ours'} stops under an application that checkpoints`,
    async run(context) {
      const { folder, random } = context;
      const { database, replica, config } = pathsOf(context);
      await writeConfig(config, { database, replica, monitorInterval: '50ms' });
      {
        using writer = new ChainWriter(database, random);
        writer.transaction(1, { add: 3000, size: 4000 });
      }
      let txid = 0n;
      {
        await using writer = startWriter({
          database,
          progress: join(folder, 'progress'),
          seed: random.between(0, 2 ** 31),
          checkpointEach: 'TRUNCATE',
        });
        for (let stop = 0; stop < stopCount; stop += 1) {
          await using daemon = context[by].replicate(config);
          await untilShipped(replica, txid, daemon);
          await pause(random.between(100, 800), 'the moment at which it is stopped');
          await daemon.stop();
          txid = await levelMaxTxid(replica);
          await compareRestores(context, replica);
        }
        await writer.stop();
      }
      await context[by].replicateOnce(database, replica);
      settle(database);
      const { transactionCount } = await compareRestores(context, replica, { source: database });
      return `stopped ${stopCount} times, ${transactionCount} transactions, all whole`;
    },
  };
}
