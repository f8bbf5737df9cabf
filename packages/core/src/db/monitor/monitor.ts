import { hasCode, isLitestreamError } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import type { ResolvedDbOptions } from '../session/options.ts';
import { onSharedTimer } from '../../util/shared-timer.ts';
import { WalWatch } from './wal-watch.ts';

/** What the monitor needs of a database. */
export interface MonitoredDatabase {
  /** The database file itself, not a link to it. */
  readonly pathOf: () => string;
  readonly options: ResolvedDbOptions;
  readonly logger: Logger;
  /** Replicates all visible commits to local files. Resolves to true if there were any. */
  readonly sync: () => Promise<boolean>;
  /** Cheap: may there be work for `sync`? Called once per monitor interval. */
  readonly mayHaveWork: () => boolean;
  /** Milliseconds until there is work although nothing changes; undefined if there is none. */
  readonly quietInMs: () => number | undefined;
  /**
   * Cheap: maintenance between two syncs. Resolves to true if the next sync should not wait for the end of the
   * interval.
   */
  readonly tend: () => Promise<boolean>;
  /** Cheap. True if a further file would only wait for its upload, because no replica keeps up. */
  readonly isBacklogFull: () => boolean;
}

/** How often `tend` runs between two syncs of a database that is being written to. */
const TEND_INTERVAL_MS = 40;

/** How long the next file waits for uploads at most. */
const BACKLOG_PATIENCE_MS = 10_000;

const CHASE_DELAY_MS_MAX = 16;
const BACKOFF_MS_MAX = 5 * 60_000;
const ERROR_LOG_INTERVAL_MS = 30_000;
/**
 * A lock that is held for less than this is no error: applications hold such locks, and each attempt waits for it
 * anyway.
 */
const LOCK_PATIENCE_MS = 10_000;
const LOCK_RETRY_MS = 100;
/** How often to look whether the Litestream that replicates the database has ended. */
const STANDBY_RETRY_MS = 800;

/**
 * Monitors one database: the first commit after a quiet time is replicated at once, then at most one file per sync
 * interval while commits continue. An idle database costs nothing. An error slows the loop down and never ends it.
 */
export class Monitor {
  readonly #database: MonitoredDatabase;
  #running: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #wake: () => void = () => undefined;
  #errorCount = 0;
  #lockedSinceMs: number | undefined;
  #errorLoggedAtMs = Number.NEGATIVE_INFINITY;
  /**
   * One of the consecutive errors was logged. Two processes on one database fail at every other sync; not each is
   * reported.
   */
  #isErrorReported = false;

  constructor(database: MonitoredDatabase) {
    this.#database = database;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  start(): void {
    if (this.#running !== undefined) return;
    const stop = new AbortController();
    this.#running = { stop, done: this.#run(stop.signal) };
  }

  /** Looks at once, if it waits for a change. */
  wake(): void {
    this.#wake();
  }

  /** Resolves when the current sync has finished. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.stop.abort();
    await running.done;
    this.#running = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { pathOf, options, logger, mayHaveWork } = this.#database;
    const watch = new WalWatch(pathOf, logger, () => this.#wake());
    const endSweep =
      options.monitorIntervalMs > 0
        ? onSharedTimer(options.monitorIntervalMs, () => {
            if (mayHaveWork()) this.#wake();
          })
        : undefined;
    try {
      while (!signal.aborted) {
        const startedMs = performance.now();
        if (await this.#look(signal)) {
          // Disarmed, and one file per interval: a writer at full speed hardly loses any speed.
          watch.disarm();
          await this.#interval(options.syncIntervalMs - (performance.now() - startedMs), signal);
          continue;
        }
        if (!watch.isArmed && this.#errorCount === 0) {
          watch.arm();
          // One more look finds writes before the watch was armed; without a watch, the shared timer wakes the monitor.
          if (watch.isArmed) continue;
        }
        await this.#waitForChange(signal);
        // The watch is disarmed once it has reported a write. If it is still armed, the shared timer woke us, and one
        // look is enough.
        if (!watch.isArmed && !signal.aborted && (await this.#chase(signal)))
          await this.#interval(options.syncIntervalMs, signal);
      }
    } finally {
      watch.disarm();
      endSweep?.();
    }
  }

  /**
   * The first event often comes before the commit frame is written: looks again until there is a commit, or, after some
   * 30 ms, leaves it to the next event. A look that finds nothing reads the wal-index and no frame, so it is cheap.
   */
  async #chase(signal: AbortSignal): Promise<boolean> {
    for (let delayMs = 1; !signal.aborted; delayMs *= 2) {
      if (await this.#look(signal)) return true;
      if (delayMs > CHASE_DELAY_MS_MAX) return false;
      await pause(delayMs, signal);
    }
    return false;
  }

  /** Waits between two files: for less than `durationMs` if much is written, for longer if uploads fall behind. */
  async #interval(durationMs: number, signal: AbortSignal): Promise<void> {
    const startedMs = performance.now();
    for (let passedMs = 0; this.#waits(passedMs, durationMs); passedMs = performance.now() - startedMs) {
      const leftMs = durationMs - passedMs;
      const step = this.#errorCount > 0 ? leftMs : Math.min(TEND_INTERVAL_MS, leftMs);
      await pause(leftMs > 0 ? step : TEND_INTERVAL_MS, signal);
      if (signal.aborted || (await this.#tended())) return;
    }
  }

  #waits(passedMs: number, durationMs: number): boolean {
    return passedMs < durationMs || (passedMs < BACKLOG_PATIENCE_MS && this.#database.isBacklogFull());
  }

  /** A failure here repeats in the next sync, which reports it. */
  async #tended(): Promise<boolean> {
    try {
      return await this.#database.tend();
    } catch (error) {
      this.#database.logger.debug('WAL maintenance failed', { error });
      return true;
    }
  }

  async #waitForChange(signal: AbortSignal): Promise<void> {
    // Stopped during the last look: an aborted signal does not call listeners that are added later.
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    const quietInMs = this.#database.quietInMs();
    const timer = quietInMs === undefined ? undefined : setTimeout(wake, quietInMs + 1).unref();
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    this.#wake = () => undefined;
  }

  /** One sync. After a failure, waits before it returns: longer with each failure in a row. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { logger, sync, options } = this.#database;
    try {
      const found = await sync();
      if (this.#isErrorReported) logger.info('sync recovered', { previous_errors: this.#errorCount });
      this.#isErrorReported = false;
      this.#errorCount = 0;
      this.#lockedSinceMs = undefined;
      return found;
    } catch (error) {
      if (hasCode(error, 'DATABASE_IN_USE')) return await this.#standBy(signal);
      if (this.#errorCount === 0 && hasCode(error, 'DATABASE_BUSY')) {
        const nowMs = performance.now();
        if (this.#lockedSinceMs === undefined) logger.info('database is locked, waiting', { error });
        this.#lockedSinceMs ??= nowMs;
        if (nowMs - this.#lockedSinceMs < LOCK_PATIENCE_MS) {
          await pause(LOCK_RETRY_MS, signal);
          return true;
        }
      }
      this.#errorCount++;
      const base = options.monitorIntervalMs > 0 ? options.monitorIntervalMs : 1000;
      const backoffMs = Math.min(base * 2 ** Math.min(this.#errorCount - 1, 20), BACKOFF_MS_MAX);
      this.#logError(error, backoffMs);
      await pause(backoffMs, signal);
      // Not "nothing to do": the caller is to look again, not to wait for an event.
      return true;
    }
  }

  /** Waits until the other Litestream has ended. That is no error, and was logged once. */
  async #standBy(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      // With jitter, so that two waiting processes do not block each other by trying at the same time.
      await pause(STANDBY_RETRY_MS * (0.75 + Math.random() / 2), signal);
      try {
        if (!signal.aborted) await this.#database.sync();
        return true;
      } catch (error) {
        if (!hasCode(error, 'DATABASE_IN_USE')) return true;
      }
    }
    return true;
  }

  #logError(error: unknown, backoffMs: number): void {
    const { logger } = this.#database;
    const nowMs = performance.now();
    if (nowMs - this.#errorLoggedAtMs < ERROR_LOG_INTERVAL_MS) return;
    this.#errorLoggedAtMs = nowMs;
    this.#isErrorReported = true;
    const counts = { consecutive_errors: this.#errorCount, backoff: backoffMs };
    if (isLitestreamError(error) && error.code === 'DISK_FULL') {
      const message = 'disk full while staging ltx file, replication paused until space is freed';
      logger.error(message, { error, path: error.object, ...counts, max_backoff: BACKOFF_MS_MAX });
    } else {
      logger.error('sync error', { error, ...counts });
    }
  }
}

/** Sleeps until the delay is over or the signal is aborted. Never rejects, and does not keep the process alive. */
async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs <= 0 || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = (): void => resolve();
  const timer = setTimeout(end, delayMs);
  timer.unref();
  signal.addEventListener('abort', end, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', end);
}
