import type { TXID } from '@litestream/ltx';
import type { Op } from '../../storage/contract/contract.ts';
import type { Clock } from '../../util/clock.ts';
import { systemClock } from '../../util/clock.ts';
import type { SqliteDriver } from '../../sqlite/driver/sqlite-driver.ts';
import { nodeSqlite } from '../../sqlite/driver/node-sqlite.ts';
import type { Logger } from '../../util/logger.ts';
import { DEFAULTS } from '../../util/defaults.ts';
import { silentLogger } from '../../util/logger.ts';
import type { OnWriteProgress } from '../../local-ltx/writer/write-job.ts';

/** How a database is monitored. Defaults are those of Litestream (Go). */
export interface DbOptions {
  /** Folder of the local LTX files. Default: `.<file name>-litestream` beside the database. */
  readonly metaPath?: string | undefined;
  /**
   * Folder to make snapshots in, if there is room, before they are uploaded; created if necessary. Default: `metaPath`.
   * On another disk than the database's, a snapshot takes no space from the application.
   */
  readonly stagingPath?: string | undefined;
  /** Default `nodeSqlite`. A program that opens the same database itself must give its own library. */
  readonly driver?: SqliteDriver | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
  /** Minimum time between two LTX files while the database is being written to, in milliseconds. Default 1 s. */
  readonly syncIntervalMs?: number | undefined;
  /** How often to look for changes that no file event reported, in milliseconds. Default 1 s; 0: never. */
  readonly monitorIntervalMs?: number | undefined;
  /** Longest time that synced pages wait in the WAL for a checkpoint, in milliseconds. Default 60 s; 0: no limit. */
  readonly checkpointIntervalMs?: number | undefined;
  /** Pages in the WAL that make a PASSIVE checkpoint due. Default 1000. */
  readonly minCheckpointPageN?: number | undefined;
  /** Pages in the WAL that make a TRUNCATE checkpoint due. Default 121359 (about 500 MB); 0 means the default. */
  readonly truncatePageN?: number | undefined;
  /** How long to retry, in all, when another connection holds a lock, in milliseconds. Default 1 s. */
  readonly busyTimeoutMs?: number | undefined;
  /**
   * How long, in milliseconds, a database file that has just appeared or changed must stay unchanged before it is
   * opened, unless Litestream sees that SQLite writes it: a program may still be copying it. Default 1 s. Set a longer
   * time if such a program pauses for longer.
   */
  readonly arrivalQuietMs?: number | undefined;
  /** WAL bytes that go into one level-0 file, cut at a commit. Default 64 MiB; 0: no limit. */
  readonly maxSyncWalBytes?: number | undefined;
  /**
   * Called with the progress of a large file, above all the first one of a database, while it is made; see
   * `OnWriteProgress`.
   */
  readonly onProgress?: OnWriteProgress | undefined;
}

export type ResolvedDbOptions = {
  readonly [Key in keyof Omit<DbOptions, 'metaPath' | 'stagingPath'>]-?: NonNullable<DbOptions[Key]>;
};

/** Default of `DbOptions.arrivalQuietMs`. */
export const ARRIVAL_QUIET_MS: number = DEFAULTS.arrivalQuietMs;

export function resolveDbOptions(options: DbOptions): ResolvedDbOptions {
  return {
    driver: options.driver ?? nodeSqlite,
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
    syncIntervalMs: options.syncIntervalMs ?? DEFAULTS.syncIntervalMs,
    monitorIntervalMs: options.monitorIntervalMs ?? DEFAULTS.monitorIntervalMs,
    checkpointIntervalMs: options.checkpointIntervalMs ?? DEFAULTS.checkpointIntervalMs,
    minCheckpointPageN: options.minCheckpointPageN ?? DEFAULTS.minCheckpointPageN,
    truncatePageN:
      options.truncatePageN === 0 ? DEFAULTS.truncatePageN : (options.truncatePageN ?? DEFAULTS.truncatePageN),
    busyTimeoutMs: options.busyTimeoutMs ?? DEFAULTS.busyTimeoutMs,
    arrivalQuietMs: options.arrivalQuietMs ?? ARRIVAL_QUIET_MS,
    onProgress: options.onProgress ?? (() => undefined),
    maxSyncWalBytes: options.maxSyncWalBytes ?? DEFAULTS.maxSyncWalBytes,
  };
}

/** What a database needs to know, when it is opened, of the timeline that its replicas hold. */
export interface History {
  /** Highest TXID on any replica; 0 if there is none. */
  maxTxid(options?: Op): Promise<TXID>;
  /** The level-0 file that holds exactly this transaction; undefined if it is gone (compacted, expired). */
  openLevel0(txid: TXID, options?: Op): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * Time of the transaction that `maxTxid` returned; undefined if there is none. Called if the local files do not state
   * it.
   */
  lastTimestamp?(options?: Op): Promise<Date | undefined>;
}

/** How far a database is replicated locally. */
export interface Position {
  /** Transaction of the last durable level-0 file; 0 before the first. */
  readonly txid: TXID;
}

export interface OpenOptions extends Op {
  /**
   * Longest wait, in milliseconds, for a file that must be quiet before it is opened. Default 1000, or `arrivalQuietMs`
   * if that is longer: most files need no more.
   */
  readonly patienceMs?: number | undefined;
}

export interface SyncOptions extends OpenOptions {
  /**
   * What the sync requires to resolve. `file`: the position covers every commit up to now. Rejects with
   * `DATABASE_MISSING` if the replicated file is gone, since it may still be written to, and like `ready`. `ready`:
   * rejects with `DATABASE_NOT_READY` if a file that may hold commits is not opened yet. By default neither is a
   * failure.
   */
  readonly requires?: 'file' | 'ready' | undefined;
}
