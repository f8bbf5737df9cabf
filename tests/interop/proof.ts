/** How each program handles the database checksums in our files. */
import { join } from 'node:path';
import { ChainWriter } from '../support/chain-writer.ts';
import { fileUrl, writeConfig } from '../support/programs.ts';
import type { Program } from '../support/programs.ts';
import { levelFiles } from '../support/replica-folder.ts';
import { until } from '../support/wait.ts';
import { pathsOf, settle, untilShipped } from './case.ts';
import type { InteropCase } from './case.ts';
import { compareRestores, frozen } from './compare.ts';

interface Verdict {
  readonly ok: boolean;
  readonly proven: boolean;
  readonly faults: readonly unknown[];
}

async function verify(ts: Program, replica: string): Promise<Verdict> {
  const child = await ts.start('verify', '-json', fileUrl(replica)).done();
  return JSON.parse(child.stdout) as Verdict;
}

/** Throws unless the replica has no fault, and is proven or not as expected. */
async function expectVerdict(ts: Program, replica: string, proven: boolean, when: string): Promise<void> {
  const verdict = await verify(ts, replica);
  if (!verdict.ok || verdict.proven !== proven) throw new Error(`${when}: ${JSON.stringify(verdict)}`);
}

/**
 * Our files state database checksums. Litestream (Go) restores them, and compacts them to files that state none: then the replica is
 * unproven, which is not a fault. It is proven again once our program replicates to it again.
 */
export const proofAcrossPrograms: InteropCase = {
  name: 'database checksums survive the other program',
  async run(context) {
    const { go, ts } = context;
    const { database, replica, config } = pathsOf(context);
    await writeConfig(config, { database, replica, levels: ['1s'], l0Retention: '1s' });
    let txid = 0n;
    using writer = new ChainWriter(database, context.random, { autoCheckpointPageCount: 0 });
    const write = async (program: Program): Promise<void> => {
      await using daemon = program.replicate(config);
      for (let i = 0; i < 5; i += 1) {
        writer.transaction(5, { add: 20, size: 1000 });
        txid = await untilShipped(replica, txid, daemon);
      }
      if (program === go) {
        await until('a compaction of Go', async () =>
          (await levelFiles(replica, 1)).some((file) => file.maxTxid >= txid - 3n),
        );
      }
      await daemon.stop();
    };

    await write(ts);
    await expectVerdict(ts, replica, true, 'after our turn');
    await compareRestores(context, await frozen(context, replica));
    await write(go);
    await expectVerdict(ts, replica, false, 'after the turn of Go');
    await compareRestores(context, await frozen(context, replica));
    await write(ts);
    await expectVerdict(ts, replica, true, 'after our second turn');
    settle(database);
    await compareRestores(context, replica, { source: database });
    await ts.restore(replica, join(context.folder, 'proven.db'), { proof: 'required' });
    return `proven, unproven and proven again, TXID ${txid}`;
  },
};
