/**
 * May the database file at a path be opened yet? A file that has just appeared may be half of a copy, or a database whose
 * application has not chosen its page size: opening it through SQLite, let alone writing to it, would destroy the one and
 * spoil the other. `arrival-evidence.ts` looks at the file; this waits, and says so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { busyError } from '../../sqlite/driver/busy.ts';
import type { LitestreamError } from '../../util/error.ts';
import type { FileLock } from '../../sqlite/driver/file-locks.ts';
import type { Logger } from '../../util/logger.ts';
import type { DatabaseDescriptor } from '../../sqlite/database-file/descriptor.ts';
import { notReadyError } from '../../sqlite/database-file/db-errors.ts';
import { ARRIVAL_QUIET_MS } from '../session/options.ts';
import type { OpenOptions } from '../session/options.ts';
import { ArrivalEvidence } from './arrival-evidence.ts';
import type { Arrival } from './arrival-evidence.ts';

/** See `OpenOptions.patienceMs`. */
const PATIENCE_MS = 1000;

/** How often the end of the quiet time is looked for. */
const LOOK_MS_MAX = 50;

/** How often the end of a lock is looked for. */
const LOCK_LOOK_MS = 5;

/** A wait that is longer than this is worth a log line. */
const TELL_AFTER_MS = 10_000;

export interface ArrivalOptions {
  /** See `DbOptions.arrivalQuietMs`. */
  readonly quietMs?: number | undefined;
  /** For tests. */
  readonly locks?: (() => readonly FileLock[] | undefined) | undefined;
}

/** One path that a database is expected at, or is at. */
export class ArrivalWatch {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #quietMs: number;
  readonly #evidence: ArrivalEvidence;
  #waiting:
    | { readonly reason: string; readonly isBlank: boolean; readonly sinceMs: number; isTold: boolean }
    | undefined;

  constructor(path: string, logger: Logger, options: ArrivalOptions = {}) {
    this.#path = path;
    this.#logger = logger;
    this.#quietMs = options.quietMs ?? ARRIVAL_QUIET_MS;
    this.#evidence = new ArrivalEvidence(path, this.#quietMs, options.locks);
  }

  /** The file that the path led to at the last look: the one that SQLite opens, and keeps its WAL beside. */
  get file(): string {
    return this.#evidence.file;
  }

  /** Why the file that is there is not opened yet. */
  get reason(): string | undefined {
    return this.#waiting?.reason;
  }

  /** The error of an operation that needs the file; undefined unless a file is there that may not be opened yet. */
  notReady(operation: string): LitestreamError | undefined {
    return this.#waiting && notReadyError(this.#path, operation, this.#waiting.reason);
  }

  /** Throws `DATABASE_NOT_READY` while a file is there that may hold commits, but may not be opened yet. */
  requireReady(operation: string): void {
    if (this.#waiting?.isBlank === false) throw notReadyError(this.#path, operation, this.#waiting.reason);
  }

  /** Cheap: may a look have another outcome than the last one? Only while there is a file that waits. */
  mayHaveSettled(): boolean {
    return this.#waiting !== undefined;
  }

  /**
   * The descriptor of the file at the path once it may be opened; undefined while there is none, or not yet. Waits where a
   * lock is all that is in the way, or where the file has to be quiet for no longer than `patienceMs`. Rejects with
   * `DATABASE_BUSY` for a lock that is held for `busyTimeoutMs`, with `DATABASE_INVALID` and `PERMISSION_DENIED`, and with
   * the signal's reason.
   */
  async settled(options: { busyTimeoutMs: number } & OpenOptions): Promise<DatabaseDescriptor | undefined> {
    const { busyTimeoutMs, patienceMs = Math.max(PATIENCE_MS, this.#quietMs), signal } = options;
    const startMs = performance.now();
    for (;;) {
      const arrival = this.look();
      this.#remember(arrival);
      if (arrival.state === 'settled') return arrival.descriptor;
      if (arrival.state === 'absent') return undefined;
      const waitedMs = performance.now() - startMs;
      const { quietInMs, isLocked = false } = arrival;
      if (isLocked) {
        if (waitedMs > busyTimeoutMs) throw busyError(this.#path, 'open');
      } else if (quietInMs === undefined || quietInMs > patienceMs || waitedMs > 2 * patienceMs) return undefined;
      const delayMs = Math.min(isLocked ? LOCK_LOOK_MS : (quietInMs ?? 0), LOOK_MS_MAX);
      await sleep(Math.max(delayMs, 1), undefined, signal === undefined ? {} : { signal });
    }
  }

  /** One look, which never waits. */
  look(): Arrival {
    return this.#evidence.look();
  }

  /** Releases descriptors of files that have no name any more. */
  close(): void {
    this.#evidence.close();
  }

  #remember(arrival: Arrival): void {
    if (arrival.state !== 'waiting') {
      this.#waiting = undefined;
      return;
    }
    const { reason, isBlank = false } = arrival;
    const nowMs = performance.now();
    if (this.#waiting?.reason !== reason) {
      this.#logger.debug('database is not ready, waiting for it', { path: this.#path, reason });
    }
    const { sinceMs = nowMs, isTold = false } = this.#waiting ?? {};
    this.#waiting = { reason, isBlank, sinceMs, isTold };
    if (isTold || nowMs - sinceMs < TELL_AFTER_MS) return;
    this.#waiting.isTold = true;
    this.#logger.info('database is not ready, waiting for it', { path: this.#path, reason });
  }
}
