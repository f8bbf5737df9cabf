/**
 * Another process writes to the replica of a database. Until that has ended, this process acknowledges and writes
 * nothing: two processes that take over from each other in turn would mix their timelines endlessly.
 */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Op } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { LitestreamError } from '../util/error.ts';
import type { ReplicaFence } from './position/fence.ts';
import type { Logger } from '../util/logger.ts';
import type { ReplicaDb } from './position/replica-db.ts';
import type { ReplicaEnds } from './position/remote-position.ts';

export interface ConflictParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ask: (options: Op) => Promise<ReplicaEnds>;
  /** False: the operator must act. */
  readonly mayRecover: boolean;
  /** Milliseconds that the other process must be quiet before this one continues behind its files. Default 60,000. */
  readonly quietMs?: number | undefined;
  /**
   * The lease of this process. If this process still has it, a file of another process arrived late, and this process need not
   * wait. If no file can arrive late any more, two processes write to the replica, and this process stops permanently.
   */
  readonly fence?: ReplicaFence | undefined;
}

const QUIET_MS = 60_000;
/** Maximum number of listings in one quiet time, even if there are more calls. */
const LOOKS = 6;

export class Conflict {
  readonly #parts: ConflictParts;
  readonly #quietMs: number;
  #error: LitestreamError | undefined;
  /** Inode of the database file that had the conflict. */
  #inode: bigint | undefined;
  /** Highest TXID at any level of the replica, at the last look. */
  #theirs: TXID | undefined;
  #quietSinceMs = 0;
  #lookedAtMs = 0;
  /** A process takes over once. Otherwise two processes could take over from each other endlessly. */
  #hasRecovered = false;

  constructor(parts: ConflictParts) {
    this.#parts = parts;
    this.#quietMs = parts.fence === undefined ? (parts.quietMs ?? QUIET_MS) : 0;
  }

  /** Why this process writes nothing now; undefined while there is no conflict. */
  get error(): LitestreamError | undefined {
    return this.#parts.fence?.error ?? this.#error;
  }

  get #isFinal(): boolean {
    return !this.#parts.mayRecover || (this.#hasRecovered && this.#parts.fence === undefined);
  }

  /**
   * Logged once, even if the file is found several times. Rejects with `LEASE_LOST` if the other process now has the
   * lease.
   */
  async found(error: LitestreamError, db: Pick<ReplicaDb, 'position' | 'inode'>, options: Op): Promise<void> {
    const { logger, fence } = this.#parts;
    await fence?.verify(options);
    if (fence?.mayMeetLateFile === false) throw fence.lose(error);
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#inode = db.inode;
    this.#quietSinceMs = this.#lookedAtMs = this.#parts.clock.monotonic();
    try {
      this.#theirs = (await this.#parts.ask(options)).max;
    } catch {
      this.#theirs = undefined; // the next look finds out
    }
    if (fence !== undefined && !this.#isFinal) {
      logger.warn('a file of an earlier holder of the lease arrived late, continuing after it', { error });
      return;
    }
    const next = this.#isFinal
      ? 'Replication of this database stays stopped until its process is started again.'
      : `It continues with a snapshot after the other's files once nothing was written there for ${this.#quietMs / 1000} s.`;
    logger.error('another process writes to this replica, commits of this database are no longer replicated', {
      error,
      'txid.db': formatTxid(db.position.txid),
      ...(this.#theirs === undefined ? {} : { 'txid.replica': formatTxid(this.#theirs) }),
      hint: `${error.hint ?? ''} ${next}`,
    });
  }

  /**
   * The database was reopened. If it is another file than the one that had the conflict, it is compared with the replica from
   * the beginning. If it is the same file, the conflict stays.
   */
  reopened(inode: bigint | undefined): void {
    if (inode === undefined || inode !== this.#inode) this.#error = undefined;
  }

  /**
   * Rejects while the conflict lasts, or while this process does not hold the lease. Resolves to the last TXID of the other
   * process if the conflict has just ended, and to undefined if there is none.
   */
  async endOfOther(options: Op): Promise<TXID | undefined> {
    await this.#parts.fence?.requireHeld(options);
    if (this.#error === undefined) return undefined;
    const nowMs = this.#parts.clock.monotonic();
    if (this.#isFinal || nowMs - this.#lookedAtMs < this.#quietMs / LOOKS) throw this.#error;
    this.#lookedAtMs = nowMs;
    const theirs = (await this.#parts.ask(options)).max;
    if (theirs !== this.#theirs) this.#quietSinceMs = nowMs;
    this.#theirs = theirs;
    if (nowMs - this.#quietSinceMs < this.#quietMs) throw this.#error;
    this.#error = undefined;
    this.#hasRecovered = true;
    this.#parts.logger.warn('the other process writes no more to this replica, continuing after its files', {
      'txid.replica': formatTxid(theirs),
    });
    return theirs;
  }
}
