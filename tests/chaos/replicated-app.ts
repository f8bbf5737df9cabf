/**
 * An application that replicates its own database: `node replicated-app.ts OPTIONS`, the options as JSON. It writes,
 * waits for `replicated()` and only then acknowledges, in a log that is on disk before anything else happens: one line,
 * the number of the last transaction committed (by whoever) before the wait.
 */
import { existsSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { s3 } from '@litestream/client-s3';
import { Litestream } from '@litestream/core';
import type { LogFields, Logger, ReplicatedDatabase } from '@litestream/core';
import { ChainWriter } from '../support/chain-writer.ts';
import type { ChainWriterOptions } from '../support/chain-writer.ts';
import { Random } from '../support/random.ts';
import { pause } from '../support/wait.ts';
import { driverOf, openWith } from './libraries.ts';
import type { Library } from './libraries.ts';
import type { ReplicaSettings } from './store.ts';

export interface ReplicatedAppOptions extends ChainWriterOptions {
  readonly database: string;
  readonly replica: ReplicaSettings;
  readonly acknowledged: string;
  readonly seed: number;
  /** What Litestream opens the database with. Default `node:sqlite`. */
  readonly driver?: Library;
  /** What the application opens it with. Default: the same. */
  readonly library?: Library;
  /** The application opens the database for each transaction, and closes it. */
  readonly opensOften?: boolean;
  /** How long the last sync may take. Default 60 s. */
  readonly lastSyncMs?: number;
  /** Pause before each round of transactions. Default: none. */
  readonly delayMs?: number;
  /** While this file exists, the application commits nothing. */
  readonly pauseFile?: string;
}

const pausedMs = 20;
const refusedMs = 20;

/** Prints lines as the command line does, so that tests look for the same words. */
function printingLogger(bound: LogFields = {}): Logger {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const pairs = Object.entries({ ...bound, ...fields }).map(([key, value]) => ` ${key}=${String(value)}`);
      process.stdout.write(`time=${new Date().toISOString()} level=${level} msg="${message}"${pairs.join('')}\n`);
    };
  return {
    trace: () => undefined,
    debug: () => undefined,
    info: at('INFO'),
    warn: at('WARN'),
    error: at('ERROR'),
    child: (fields) => printingLogger({ ...bound, ...fields }),
  };
}

/** The number of the last transaction, once `step` has committed some. */
type Commits = (step: boolean) => number;

function keptOpen({ database, ...options }: ReplicatedAppOptions, random: Random): Commits & Disposable {
  const writer = new ChainWriter(database, random, { ...options, open: openWith(libraryOf(options)) });
  const last = writer.database.prepare('SELECT txn FROM chain ORDER BY id DESC LIMIT 1');
  const commits: Commits = (step) => {
    if (step) for (let count = random.between(1, 5); count > 0; count -= 1) writer.step();
    return Number(last.get()?.['txn'] ?? 0);
  };
  return Object.assign(commits, { [Symbol.dispose]: () => writer[Symbol.dispose]() });
}

function openedOften({ database, ...options }: ReplicatedAppOptions, random: Random): Commits & Disposable {
  const commits: Commits = (step) => {
    using writer = new ChainWriter(database, random, { ...options, open: openWith(libraryOf(options)) });
    if (step) writer.transaction(random.between(1, 5), { add: 2, change: 1, remove: 1 });
    return writer.transactionCount;
  };
  return Object.assign(commits, { [Symbol.dispose]: () => undefined });
}

function libraryOf({ library, driver = 'node:sqlite' }: Pick<ReplicatedAppOptions, 'library' | 'driver'>): Library {
  return library ?? driver;
}

/** Tries until it succeeds: a replica may be out of reach. Undefined if it is stopped before. */
async function opened(
  litestream: Litestream,
  { database, delayMs = 0, replica: { type, ...settings } }: ReplicatedAppOptions,
  minCheckpointPageN: number,
  signal: AbortSignal,
): Promise<ReplicatedDatabase | undefined> {
  const syncIntervalMs = delayMs === 0 ? 50 : 1000;
  const intervals = { syncIntervalMs, monitorIntervalMs: 50, checkpointIntervalMs: 300 };
  while (!signal.aborted) {
    try {
      return await litestream.replicate(database, { type, settings }, { ...intervals, minCheckpointPageN, signal });
    } catch (error) {
      process.stdout.write(`not opened: ${String(error)}\n`);
      await pause(refusedMs, 'the time until an application tries again');
    }
  }
  return undefined;
}

async function main(options: ReplicatedAppOptions): Promise<void> {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const random = new Random(options.seed);
  using commits = options.opensOften === true ? openedOften(options, random) : keptOpen(options, random);
  const logger = printingLogger();
  await using litestream = new Litestream({
    plugins: [s3()],
    driver: driverOf(options.driver ?? 'node:sqlite'),
    logger,
    store: {
      levels: [1000, 3000].map((intervalMs, i) => ({ level: i + 1, intervalMs })),
      snapshotIntervalMs: 4000,
      level0RetentionMs: 2000,
    },
  });
  const database = await opened(litestream, options, random.pick([50, 300, 1000]), stop.signal);
  if (database === undefined) return;
  const log = openSync(options.acknowledged, 'a');
  while (!stop.signal.aborted) {
    if (options.delayMs !== undefined) await pause(4 * options.delayMs, 'the pace that was asked for');
    const isPaused = options.pauseFile !== undefined && existsSync(options.pauseFile);
    const committed = commits(!isPaused);
    try {
      await database.replicated({ signal: stop.signal });
      writeSync(log, `${committed}\n`);
      fsyncSync(log);
    } catch (error) {
      if (stop.signal.aborted) break;
      logger.warn('not acknowledged', { error: String(error) });
      await pause(refusedMs, 'the time until an application tries again');
    }
    if (isPaused) await pause(pausedMs, 'an application without requests');
  }
  await litestream.stop({ timeoutMs: options.lastSyncMs ?? 60_000 });
}

const [options] = process.argv.slice(2);
if (import.meta.main && options !== undefined) await main(JSON.parse(options) as ReplicatedAppOptions);
