/** The log restarts while nobody follows it, with commits behind the place where it was last read. */
import { ChainWriter } from '../support/chain-writer.ts';
import { writeConfig } from '../support/programs.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { pathsOf, settle, untilShipped } from './case.ts';
import type { InteropCase } from './case.ts';
import { compareRestores } from './compare.ts';

/**
 * The first program ends. The application commits some more, moves everything into the database file, and begins the log
 * anew with so small a commit that the last frame which was followed is still in the file: the second program must ship
 * what came in between, or the whole database. Go after Go loses it: docs/decisions/0007-take-over-from-litestream-go.md.
 */
export function unseenRestart(first: 'go' | 'ts', second: 'go' | 'ts', end: 'killed' | 'stopped'): InteropCase {
  const names = { go: 'Go', ts: 'ours' };
  return {
    name: `the log restarts unseen: ${names[second]} after ${names[first]} was ${end}`,
    async run(context) {
      const { database, replica, config } = pathsOf(context);
      await writeConfig(config, { database, replica });
      {
        using writer = new ChainWriter(database, context.random, { autoCheckpointPageCount: 0 });
        {
          await using daemon = context[first].replicate(config);
          let txid = await untilShipped(replica, 0n, daemon);
          for (let i = 0; i < 5; i += 1) {
            writer.transaction(3, { add: 3, size: 1000 });
            txid = await untilShipped(replica, txid, daemon);
          }
          if (end === 'killed') await daemon.kill();
          else await daemon.stop();
        }
        const txid = await levelMaxTxid(replica);
        for (let i = 0; i < 5; i += 1) writer.transaction(3, { add: 3, size: 1000 });
        writer.checkpoint('RESTART');
        writer.transaction(1);
        await using daemon = context[second].replicate(config);
        await untilShipped(replica, txid, daemon);
        writer.transaction(1);
        await daemon.stop();
      }
      settle(database);
      const { transactionCount } = await compareRestores(context, replica, { source: database });
      if (transactionCount !== 12) throw new Error(`${transactionCount} transactions, not 12`);
      return 'nothing lost';
    },
  };
}
