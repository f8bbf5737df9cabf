/** The leases under which a database is opened: one for each replica with a lease. */
import { existsSync } from 'node:fs';
import { LEASE_TTL_MS, LitestreamError, hasCode, takeOver } from '@litestream/core';
import type { LeaseHolder, LitestreamErrorCode, Logger } from '@litestream/core';
import { defaultMetaPath, localTxid } from '../util/local-state.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import { restoreIfMissing } from '../databases/restore-missing.ts';
import type { RunningReplica } from './running-replica.ts';
import type { Services } from './services/services.ts';

interface Leased {
  readonly running: RunningReplica;
  readonly holder: LeaseHolder;
}

/** `-once` waits for the lease of a killed holder to expire. It does not wait for a holder that renews. */
const ONCE_TERMS = 2.2;

export class Leases {
  readonly #database: SingleDatabase;
  readonly #services: Services;
  readonly #logger: Logger;
  readonly #leased: readonly Leased[];
  /** The leases under which the database may be opened. */
  readonly #taken = new Set<LeaseHolder>();
  readonly #opened = Promise.withResolvers<void>();

  constructor(
    database: SingleDatabase,
    replicas: readonly RunningReplica[],
    { services, logger }: { readonly services: Services; readonly logger: Logger },
  ) {
    this.#database = database;
    this.#services = services;
    this.#logger = logger;
    this.#leased = replicas.flatMap((running) =>
      running.holder === undefined ? [] : [{ running, holder: running.holder }],
    );
    if (this.#leased.length === 0) this.#opened.resolve();
    // Perhaps no caller waits for it: then a rejection must not be unhandled.
    this.#opened.promise.catch(() => undefined);
  }

  get isAny(): boolean {
    return this.#leased.length > 0;
  }

  /** Whether another process holds one of them, as far as is known. */
  get isWaiting(): boolean {
    return this.#leased.some(({ holder }) => ['idle', 'waiting'].includes(holder.status.state));
  }

  /** Resolves once the database is restored, or open, under its leases. Rejects if that is not possible. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Throws `UNSUPPORTED` if a backend has no conditions. */
  requireSupport(): void {
    for (const { holder } of this.#leased) holder.requireSupport();
  }

  /**
   * Waits for the leases, one after the other in the order of the config, so that two processes do not wait for each other.
   * Then restores the database if it is missing and the config asks for that.
   */
  async take({ once, signal }: { readonly once: boolean; readonly signal: AbortSignal }): Promise<void> {
    const { path } = this.#database;
    for (const { holder, running } of this.#leased) {
      const ttlMs = running.open.config.lease?.ttlMs ?? LEASE_TTL_MS;
      await holder.acquire({ signal, waitMs: once ? ttlMs * ONCE_TERMS : undefined });
    }
    let isRestored = false;
    const restore = async (): Promise<boolean> => {
      if (!isRestored) await restoreIfMissing(this.#database, { ...this.#services, logger: this.#logger, signal });
      isRestored = true;
      return existsSync(path);
    };
    for (const { holder, running } of this.#leased) {
      if (this.#taken.has(holder)) continue;
      const { client } = running.replica;
      const database = {
        path,
        exists: () => existsSync(path) && !isRestored,
        localTxid: () => localTxid(this.#database.metaPath ?? defaultMetaPath(path)),
        restore: this.#database.restoreIfDbNotExists ? restore : undefined,
      };
      await takeOver({ holder, client, logger: this.#logger, database }, { signal });
      this.#taken.add(holder);
    }
    // A database that was restored under the leases needs no comparison. The program of -exec may open it at once.
    if (isRestored && existsSync(path)) this.#opened.resolve();
  }

  /** Compares the database, which is open, with its replicas. */
  async meet(signal: AbortSignal): Promise<void> {
    for (const { holder, running } of this.#leased) {
      try {
        await running.replica.meet({ signal });
      } catch (error) {
        if (hasCode(error, 'PROMOTION_REFUSED')) this.#taken.delete(holder);
        throw error;
      }
    }
    this.#opened.resolve();
  }

  /** The database could not be opened. `isHopeless`: waiting does not help. */
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
    return new LitestreamError(`waiting for the lease, which is held by ${by}${until}: ${this.#database.path}`, {
      code: 'LEASE_HELD',
      retryable: true,
      hint: 'This process takes over when the holder ends.',
    });
  }

  /** `keep`: the leases are not released, so the next process waits until they expire. */
  async end({ keep }: { readonly keep: boolean }): Promise<void> {
    for (const { holder } of this.#leased) {
      if (keep) holder.end();
      else await holder.release();
    }
  }
}

const HOPELESS: readonly LitestreamErrorCode[] = ['LEASE_LOST', 'PROMOTION_REFUSED'];
