/**
 * An application in a process of its own, to be killed at will: `node writer.ts OPTIONS`, the options as JSON
 * (`WriterOptions`). Each committed transaction is a line in the progress log, written after the commit returned.
 */
import { fsyncSync, openSync, writeSync } from 'node:fs';
import { ChainWriter } from './chain-writer.ts';
import type { checkpointModes } from './chain-writer.ts';
import type { ChainWriterOptions } from './chain-writer.ts';
import { Random } from './random.ts';
import { pause } from './wait.ts';

export interface WriterOptions extends ChainWriterOptions {
  readonly database: string;
  /** File that gets one line per committed transaction: its number. */
  readonly progress: string;
  readonly seed: number;
  /** Ends after so many steps; without it, runs until SIGTERM. */
  readonly stepCountMax?: number;
  /** Pause after each step; 0, the default, writes at full speed. */
  readonly delayMs?: number;
  /** Only small transactions: no VACUUM, no checkpoint, nothing big. */
  readonly calm?: boolean;
  /** Only small transactions, each followed by an attempt at such a checkpoint. */
  readonly checkpointEach?: (typeof checkpointModes)[number];
}

/** A full-speed writer must still see signals; and the log must reach the disk, but not at each commit. */
const breathMs = 50;

async function main(options: WriterOptions): Promise<void> {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const random = new Random(options.seed);
  using writer = new ChainWriter(options.database, random, options);
  const progress = openSync(options.progress, 'a');
  let breathedAt = performance.now();
  let logged = writer.transactionCount;
  for (let step = 0; !stop.signal.aborted && step < (options.stepCountMax ?? Infinity); step += 1) {
    if (options.checkpointEach !== undefined) {
      writer.transaction(random.between(1, 5), { add: 1, change: 2, remove: 1 });
      writer.checkpoint(options.checkpointEach, 0);
    } else if (options.calm === true) writer.transaction(random.between(1, 5), { add: 2, change: 1, remove: 1 });
    else writer.step();
    if (writer.transactionCount !== logged) {
      logged = writer.transactionCount;
      writeSync(progress, `${logged}\n`);
    }
    if (options.delayMs !== undefined && options.delayMs > 0)
      await pause(options.delayMs, 'the pace that was asked for');
    else if (performance.now() - breathedAt > breathMs) {
      fsyncSync(progress);
      await pause(0, 'signals get their turn');
      breathedAt = performance.now();
    }
  }
  fsyncSync(progress);
}

const [options] = process.argv.slice(2);
if (import.meta.main && options !== undefined) await main(JSON.parse(options) as WriterOptions);
