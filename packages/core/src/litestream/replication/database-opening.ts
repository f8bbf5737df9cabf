/** Retries to open a database until it succeeds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../util/error.ts';
import type { LitestreamErrorCode } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import type { Leases } from './leases.ts';

/** An error that waiting does not repair: replication of this database cannot start. */
const FATAL: readonly LitestreamErrorCode[] = [
  'CONFIG_INVALID',
  'DATABASE_INVALID',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
  'UNSUPPORTED',
];

const BACKOFF_MS_MAX = 300_000;
const ERROR_LOG_INTERVAL_MS = 30_000;
/** Each attempt to open waits for a lock itself; one that is held for less than this in all is no error. */
const LOCK_PATIENCE_MS = 10_000;
const LOCK_RETRY_MS = 100;

export interface DatabaseOpeningParts {
  /** One attempt. */
  readonly open: () => Promise<void>;
  /** Called once an attempt in the background has succeeded. */
  readonly onOpened: () => void;
  readonly leases: Leases;
  readonly logger: Logger;
  /** Ends the attempts. */
  readonly signal: AbortSignal;
}

export class DatabaseOpening {
  readonly #parts: DatabaseOpeningParts;
  #attempts: Promise<void> | undefined;
  #error: unknown;

  constructor(parts: DatabaseOpeningParts) {
    this.#parts = parts;
  }

  /** Attempts are made in the background, or were when the database was stopped: it is not open. */
  get isPending(): boolean {
    return this.#attempts !== undefined;
  }

  /** The failure of the last attempt. */
  get error(): unknown {
    return this.#error;
  }

  /** Another process holds a lease that the database needs to be opened. */
  get isWaitingForLease(): boolean {
    return this.isPending && this.#parts.leases.isWaiting;
  }

  /** Resolves once no attempt is under way, after a success or an abort. */
  async idle(): Promise<void> {
    await this.#attempts;
  }

  /** Begins in the background: leases may be held by another process for long. */
  begin(): void {
    this.#attempts = this.#runUnderLeases();
  }

  /** After this failure, tries again in the background. False: waiting does not repair it. */
  retryAfter(error: unknown): boolean {
    if (isFatal(error)) return false;
    this.retry(error);
    return true;
  }

  /** As `retryAfter`, whatever the failure was. */
  retry(error: unknown): void {
    this.#attempts = this.#run(error);
  }

  async #runUnderLeases(): Promise<void> {
    const { open, signal } = this.#parts;
    try {
      await open();
    } catch (error) {
      if (!signal.aborted) await this.#run(error);
      return;
    }
    this.#succeeded();
  }

  /** What keeps one database from being opened is no reason to leave the others without replication. */
  async #run(first: unknown): Promise<void> {
    const { open, logger, signal } = this.#parts;
    let loggedAtMs = Number.NEGATIVE_INFINITY;
    this.#failed(first);
    if (hasCode(first, 'DATABASE_BUSY')) logger.info('database is locked, waiting', { error: first });
    const patientUntilMs = performance.now() + LOCK_PATIENCE_MS;
    for (let errors = 1; ; errors += 1) {
      const isPatient = hasCode(this.#error, 'DATABASE_BUSY') && performance.now() < patientUntilMs;
      if (isPatient) errors = 0;
      const backoffMs = isPatient ? LOCK_RETRY_MS : Math.min(1000 * 2 ** (errors - 1), BACKOFF_MS_MAX);
      if (!isPatient && performance.now() - loggedAtMs >= ERROR_LOG_INTERVAL_MS) {
        loggedAtMs = performance.now();
        logger.error('sync error', { error: this.#error, consecutive_errors: errors, backoff: backoffMs });
      }
      await sleep(backoffMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await open();
      } catch (error) {
        this.#failed(error);
        continue;
      }
      this.#succeeded();
      return;
    }
  }

  #failed(error: unknown): void {
    this.#error = error;
    this.#parts.leases.failed(error, isFatal(error));
  }

  #succeeded(): void {
    this.#attempts = undefined;
    this.#parts.onOpened();
  }
}

function isFatal(error: unknown): boolean {
  return FATAL.some((code) => hasCode(error, code));
}
