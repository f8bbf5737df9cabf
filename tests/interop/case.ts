import { join } from 'node:path';
import { ChainWriter } from '../support/chain-writer.ts';
import type { Child } from '../support/child.ts';
import type { Program } from '../support/programs.ts';
import { Random } from '../support/random.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { until } from '../support/wait.ts';

/** What a case works with: both programs, a folder of its own, a generator of its own. */
export interface InteropContext {
  readonly go: Program;
  readonly ts: Program;
  readonly folder: string;
  readonly random: Random;
}

export interface InteropCase {
  readonly name: string;
  /** Gives what it saw, for the table; throws on any difference. */
  readonly run: (context: InteropContext) => Promise<string>;
}

/** The database, replica and progress log of a case. */
export function pathsOf(context: InteropContext): { database: string; replica: string; config: string } {
  const { folder } = context;
  return {
    database: join(folder, 'app.db'),
    replica: join(folder, 'replica'),
    config: join(folder, 'litestream.yml'),
  };
}

/** Waits for the first or next file of the replica's level 0. */
export async function untilShipped(replica: string, after: bigint, daemon: Child): Promise<bigint> {
  return until(
    `a file after TXID ${after}`,
    async () => {
      const txid = await levelMaxTxid(replica);
      return txid > after ? txid : undefined;
    },
    { failed: () => (daemon.exit === undefined ? undefined : `${daemon.name} ended:\n${daemon.output}`) },
  );
}

/** Brings everything of the WAL into the database file and closes it: only now is the file itself the content. */
export function settle(database: string): void {
  using writer = new ChainWriter(database, new Random(0));
  writer.checkpoint('TRUNCATE');
}
