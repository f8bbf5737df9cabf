/** The leases under which a database is opened: one for each replica with a lease. */
import { existsSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import type { LeaseHolder } from '../../lease/holder.ts';
import { LEASE_TTL_MS } from '../../lease/record.ts';
import { takeOver } from '../../lease/take-over.ts';
import type { Replica } from '../../replica/replica.ts';
import type { Op } from '../../storage/contract/contract.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import type { LitestreamErrorCode } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';

export interface LeasedReplica {
  readonly replica: Pick<Replica, 'client' | 'meet'>;
  readonly holder: LeaseHolder;
  /** Milliseconds; undefined for the default. */
  readonly ttlMs: number | undefined;
}

export interface LeasesOptions {
  /** Of the database. */
  readonly path: string;
  /** The last transaction in the local files; 0 for none. */
  readonly localTxid: () => TXID;
  /** Restores a missing database; undefined if that is not wanted. Called at most once, under all leases. */
  readonly restore: ((op: Op) => Promise<unknown>) | undefined;
  readonly logger: Logger;
}

export interface TakeLeasesOptions extends Op {
  /** Rejects with `LEASE_HELD` after this many terms of a lease. Default: no limit. */
  readonly terms?: number | undefined;
}

export class Leases {
  readonly #options: LeasesOptions;
  readonly #leased: readonly LeasedReplica[];
  /** The leases under which the database may be opened. */
  readonly #taken = new Set<LeaseHolder>();
  readonly #opened = Promise.withResolvers<void>();

  constructor(leased: readonly LeasedReplica[], options: LeasesOptions) {
    this.#options = options;
    this.#leased = leased;
    if (leased.length === 0) this.#opened.resolve();
    // If no caller waits for it, a rejection must not be unhandled.
    this.#opened.promise.catch(() => undefined);
  }

  get isAny(): boolean {
    return this.#leased.length > 0;
  }

  /** Whether this process still has to acquire one of them. */
  get isWaiting(): boolean {
    return this.#leased.some(({ holder }) => ['idle', 'waiting'].includes(holder.status.state));
  }

  /** Resolves once the database is restored or open under its leases. Rejects if this is not possible. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Throws `UNSUPPORTED` if a backend has no conditions. */
  requireSupport(): void {
    for (const { holder } of this.#leased) holder.requireSupport();
  }

  /**
   * Acquires the leases one after the other, in the order of the replicas, so that two processes do not wait for each other. Then
   * restores the database if it is missing and `restore` is given.
   */
  async take({ terms, signal }: TakeLeasesOptions = {}): Promise<void> {
    const { path, localTxid, restore, logger } = this.#options;
    for (const { holder, ttlMs = LEASE_TTL_MS } of this.#leased) {
      await holder.acquire({ signal, waitMs: terms === undefined ? undefined : ttlMs * terms });
    }
    let isRestored = false;
    const restoreOnce = async (op: Op): Promise<boolean> => {
      if (!isRestored) await restore?.(op);
      isRestored = true;
      return existsSync(path);
    };
    for (const { holder, replica } of this.#leased) {
      if (this.#taken.has(holder)) continue;
      const database = {
        path,
        exists: () => existsSync(path) && !isRestored,
        localTxid,
        restore: restore && restoreOnce,
      };
      await takeOver({ holder, client: replica.client, logger, database }, { signal });
      this.#taken.add(holder);
    }
    // A database that was restored under the leases needs no comparison. The program of -exec may open it now.
    if (isRestored && existsSync(path)) this.#opened.resolve();
  }

  /** Compares the open database with its replicas. */
  async meet(signal: AbortSignal): Promise<void> {
    for (const { holder, replica } of this.#leased) {
      try {
        await replica.meet({ signal });
      } catch (error) {
        if (hasCode(error, 'PROMOTION_REFUSED')) this.#taken.delete(holder);
        throw error;
      }
    }
    this.#opened.resolve();
  }

  /** Records that the database could not be opened. `isHopeless`: waiting does not help. */
  failed(error: unknown, isHopeless: boolean): void {
    if (hasCode(error, 'PROMOTION_REFUSED')) this.#taken.clear();
    if (isHopeless || HOPELESS.some((code) => hasCode(error, code))) this.#opened.reject(error);
  }

  /** The lease that this process waits for, as an error. */
  get waitError(): LitestreamError {
    const waiting = this.#leased.find(({ holder }) => holder.status.state === 'waiting');
    const { owner = '', expiresAt } = waiting?.holder.status.lease ?? {};
    const until = expiresAt === undefined ? '' : ` until ${expiresAt.toISOString()}`;
    const by = owner === '' ? 'another process' : owner;
    return new LitestreamError(`waiting for the lease, which is held by ${by}${until}: ${this.#options.path}`, {
      code: 'LEASE_HELD',
      retryable: true,
      hint: 'This process takes over when the holder ends.',
    });
  }

  /** `keep`: the leases are not released, so the next process waits until they expire. */
  async end({ keep }: { readonly keep: boolean }): Promise<void> {
    for (const { holder } of this.#leased) {
      if (!keep) await holder.release();
      holder.end();
    }
  }
}

const HOPELESS: readonly LitestreamErrorCode[] = ['LEASE_LOST', 'PROMOTION_REFUSED'];
