/**
 * An application that replicates its own database: `node replicated-app.ts OPTIONS`, the options as JSON. It writes,
 * waits for `replicated()` and only then acknowledges, in a log that is on disk before anything else happens: one line,
 * the number of the last transaction committed (by whoever) before the wait.
 */
import { fsyncSync, openSync, writeSync } from 'node:fs';
import { Litestream } from '@litestream/core';
import { ChainWriter } from '../support/chain-writer.ts';
import type { ChainWriterOptions } from '../support/chain-writer.ts';
import { Random } from '../support/random.ts';

export interface ReplicatedAppOptions extends ChainWriterOptions {
  readonly database: string;
  readonly replica: string;
  readonly acknowledged: string;
  readonly seed: number;
}

async function main(options: ReplicatedAppOptions): Promise<void> {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const random = new Random(options.seed);
  using writer = new ChainWriter(options.database, random, options);
  await using litestream = new Litestream({
    store: {
      levels: [1000, 3000].map((intervalMs, i) => ({ level: i + 1, intervalMs })),
      snapshotIntervalMs: 4000,
      level0RetentionMs: 2000,
    },
  });
  const database = await litestream.replicate(options.database, options.replica, {
    syncIntervalMs: 50,
    monitorIntervalMs: 50,
    checkpointIntervalMs: 300,
    minCheckpointPageN: random.pick([50, 300, 1000]),
  });
  const last = writer.database.prepare('SELECT txn FROM chain ORDER BY id DESC LIMIT 1');
  const log = openSync(options.acknowledged, 'a');
  while (!stop.signal.aborted) {
    for (let step = random.between(1, 5); step > 0; step -= 1) writer.step();
    const committed = Number(last.get()?.['txn'] ?? 0);
    await database.replicated();
    writeSync(log, `${committed}\n`);
    fsyncSync(log);
  }
}

const [options] = process.argv.slice(2);
if (import.meta.main && options !== undefined) await main(JSON.parse(options) as ReplicatedAppOptions);
