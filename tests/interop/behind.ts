/** A database restored to an earlier state, or without its metadata folder, meets the replica that went on without it. */
import { copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ChainWriter } from '../support/chain-writer.ts';
import { verifyChain } from '../support/chain.ts';
import { assertSamePages } from '../support/pages.ts';
import { writeConfig } from '../support/programs.ts';
import { levelFiles, levelMaxTxid } from '../support/replica-folder.ts';
import { pathsOf, settle, untilShipped } from './case.ts';
import type { InteropCase } from './case.ts';
import { compareListings, compareRestores } from './compare.ts';

export function behind(first: 'go' | 'ts', second: 'go' | 'ts'): InteropCase {
  return {
    name: `older database meets the replica of ${first === 'go' ? 'Go' : 'ours'}: ${second === 'go' ? 'Go' : 'ours'} goes on`,
    async run(context) {
      const { folder } = context;
      const { database, replica, config } = pathsOf(context);
      await writeConfig(config, { database, replica });
      let txid = 0n;
      {
        using writer = new ChainWriter(database, context.random);
        await using daemon = context[first].replicate(config);
        txid = await untilShipped(replica, txid, daemon);
        for (let i = 0; i < 8; i += 1) {
          writer.transaction(4, { add: 4 });
          txid = await untilShipped(replica, txid, daemon);
        }
        await daemon.stop();
      }
      const history = await contents(replica);
      const newest = await levelMaxTxid(replica);
      const older = newest - 4n;

      // The operator rolls back: everything local is replaced by an earlier state.
      for (const name of ['app.db', 'app.db-wal', 'app.db-shm', '.app.db-litestream']) {
        await rm(join(folder, name), { recursive: true, force: true });
      }
      const rolledBack = join(folder, 'rolled-back.db');
      await context.ts.restore(replica, rolledBack, { txid: older });
      await copyFile(rolledBack, database);
      const before = verifyChain(rolledBack).transactionCount;
      {
        using writer = new ChainWriter(database, context.random);
        await using daemon = context[second].replicate(config);
        writer.transaction(2, { add: 1 });
        txid = await untilShipped(replica, newest, daemon);
        for (let i = 0; i < 3; i += 1) {
          writer.transaction(2, { add: 1 });
          txid = await untilShipped(replica, txid, daemon);
        }
        await daemon.stop();
      }
      settle(database);
      const { transactionCount } = await compareRestores(context, replica, { source: database });
      if (transactionCount !== before + 4) throw new Error(`${transactionCount} transactions, not ${before + 4}`);

      // Newer history is not overwritten: files and restores of before are what they were.
      const after = await contents(replica);
      for (const [name, bytes] of history) {
        if (after.get(name)?.equals(bytes) !== true) throw new Error(`${name} was changed or removed`);
      }
      await compareRestores(context, replica, { point: { txid: newest } });
      const again = join(folder, 'rolled-back-again.db');
      await context.go.restore(replica, again, { txid: older });
      await assertSamePages(rolledBack, again, 'an earlier state, before and after');
      await compareListings(context, replica);
      return `back from TXID ${newest} to ${older}, on to ${await levelMaxTxid(replica)}; history kept`;
    },
  };
}

async function contents(replica: string): Promise<Map<string, Buffer>> {
  const entries = new Map<string, Buffer>();
  for (const file of await levelFiles(replica, 0)) entries.set(file.name, await readFile(file.path));
  return entries;
}
