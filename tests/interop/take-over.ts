/** The programs take a database, its replica and its local metadata folder from each other, again and again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChainWriter } from '../support/chain-writer.ts';
import { writeConfig } from '../support/programs.ts';
import { levelFiles, levelMaxTxid } from '../support/replica-folder.ts';
import { startWriter } from '../support/start-writer.ts';
import { pause } from '../support/wait.ts';
import { pathsOf, settle, untilShipped } from './case.ts';
import type { InteropCase } from './case.ts';
import { compareListings, compareRestores, frozen } from './compare.ts';

/** Never Go after Go: what it does then is its own (docs/decisions/0007-take-over-from-litestream-go.md). */
const turns = ['go', 'ts', 'go', 'ts', 'ts', 'go', 'ts', 'go'] as const;

/**
 * The application never stops writing, checkpointing and vacuuming. Go's turns end in kill -9: when Go stops by itself
 * while an application writes, what it ships last may be torn (docs/decisions/0007-take-over-from-litestream-go.md).
 */
export const takeOverWhileWriting: InteropCase = {
  name: 'taken over in turns while the application writes',
  async run(context) {
    const { database, replica, config } = pathsOf(context);
    await writeConfig(config, {
      database,
      replica,
      levels: ['1s', '3s'],
      minCheckpointPageCount: 200,
      checkpointInterval: '500ms',
    });
    await using writer = startWriter({
      database,
      progress: join(context.folder, 'progress'),
      seed: context.random.between(0, 2 ** 31),
      autoVacuum: 'incremental',
      delayMs: 2,
    });
    let txid = 0n;
    let killed = 0;
    let transactionCount = 0;
    for (const [index, turn] of turns.entries()) {
      await using daemon = context[turn].replicate(config);
      txid = await untilShipped(replica, txid, daemon);
      await pause(1200, 'the turn of one program');
      const last = index === turns.length - 1;
      if (last) await writer.stop();
      if (!last && (turn === 'go' || context.random.chance(0.4))) {
        await daemon.kill();
        killed += 1;
      } else await daemon.stop();
      txid = await levelMaxTxid(replica);
      const state = await compareRestores(context, await frozen(context, replica));
      if (state.transactionCount <= transactionCount)
        throw new Error(`turn ${index + 1} (${turn}) shipped nothing new`);
      transactionCount = state.transactionCount;
    }
    settle(database);
    await compareRestores(context, replica, { source: database });
    await compareListings(context, replica);
    return `${turns.length} turns (${killed} killed), ${transactionCount} transactions, TXID ${txid}`;
  },
};

/**
 * The application is quiet during each change of hands but keeps the database open. A file of Go carries no running checksum
 * of the WAL, and ours leaves an empty WAL when it stops: so each change from one program to the other sends the whole
 * database once, in its first file. Within a turn, and from ours to ours, nothing is sent again.
 */
export const takeOverWithoutSnapshot: InteropCase = {
  name: 'taken over in turns without a needless snapshot',
  async run(context) {
    const { database, replica, config } = pathsOf(context);
    await writeConfig(config, { database, replica });
    using writer = new ChainWriter(database, context.random, { autoCheckpointPageCount: 0 });
    for (let i = 0; i < 40; i += 1) writer.transaction(5, { add: 20, size: 1000 });
    writer.checkpoint('TRUNCATE');
    let txid = 0n;
    /** First transactions of turns that begin after the other program. */
    const changes = new Set<bigint>([1n]);
    for (const [index, turn] of turns.entries()) {
      if (index > 0 && turns[index - 1] !== turn) changes.add(txid + 1n);
      await using daemon = context[turn].replicate(config);
      if (index > 0) {
        await pause(400, 'the program has opened the database before it is written to');
        writer.transaction(3, { add: 2 });
      }
      txid = await untilShipped(replica, txid, daemon);
      for (let i = 0; i < 5; i += 1) {
        writer.transaction(3, { add: 2 });
        txid = await untilShipped(replica, txid, daemon);
      }
      await daemon.stop();
      txid = await levelMaxTxid(replica);
    }
    const files = await levelFiles(replica, 0);
    const whole: string[] = [];
    for (const file of files) {
      const bytes = await readFile(file.path);
      const pageCount = bytes.readUInt32BE(12); // Of the header: size of the database in pages.
      if (!changes.has(file.minTxid) && file.size > (pageCount * 4096) / 4) whole.push(file.name);
    }
    if (whole.length > 0) throw new Error(`the whole database was sent again: ${whole.join(', ')}`);
    writer.checkpoint('TRUNCATE');
    await compareRestores(context, replica);
    return `${turns.length} turns, ${files.length} files, the whole database at most once a change of hands`;
  },
};
