import { setTimeout as sleep } from 'node:timers/promises';
import { LitestreamError } from '../../util/error.ts';

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_PROTOCOL = 15;

/** SQLite's primary result code of an error of either driver; undefined if it is not an error of SQLite. */
export function sqliteResultCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  if (typeof errcode === 'number') return errcode & 0xff;
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return undefined;
  return RESULT_CODES.find(([name]) => code === name || code.startsWith(`${name}_`))?.[1] ?? 1;
}

const RESULT_CODES: readonly (readonly [string, number])[] = [
  ['SQLITE_PERM', 3],
  ['SQLITE_BUSY', SQLITE_BUSY],
  ['SQLITE_LOCKED', SQLITE_LOCKED],
  ['SQLITE_READONLY', 8],
  ['SQLITE_IOERR', 10],
  ['SQLITE_CORRUPT', 11],
  ['SQLITE_FULL', 13],
  ['SQLITE_CANTOPEN', 14],
  ['SQLITE_PROTOCOL', SQLITE_PROTOCOL],
  ['SQLITE_NOTADB', 26],
];

/** Another connection held a lock; the same call may succeed soon. */
export function isBusy(error: unknown): boolean {
  const code = sqliteResultCode(error);
  return code === SQLITE_BUSY || code === SQLITE_LOCKED || code === SQLITE_PROTOCOL;
}

const DELAY_MS_MAX = 25;

/**
 * Repeats `attempt` while a lock prevents it, for `busyTimeoutMs` at most, and at least every `delayMsMax` (25 ms).
 *
 * A timeout inside SQLite would block the thread, and with it the in-process transaction that holds the lock. Rejects
 * with `DATABASE_BUSY` when the time is over, and with any other error at once.
 */
export async function retryBusy<T>(
  attempt: () => T,
  options: {
    busyTimeoutMs: number;
    operation: string;
    path: string;
    delayMsMax?: number | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<T> {
  const { delayMsMax = DELAY_MS_MAX } = options;
  const deadlineMs = performance.now() + options.busyTimeoutMs;
  for (let delayMs = 1; ; delayMs = Math.min(delayMs * 1.5, delayMsMax)) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() + delayMs > deadlineMs) throw busyError(options.path, options.operation, error);
    }
    await sleep(delayMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/** `DATABASE_BUSY`: a lock was held for the whole busy timeout. */
export function busyError(path: string, operation: string, cause?: unknown): LitestreamError {
  return new LitestreamError(`database is locked: ${path}`, {
    code: 'DATABASE_BUSY',
    retryable: true,
    operation,
    object: path,
    hint: 'Another connection held the lock for the whole busy timeout. Litestream retries later.',
    cause,
  });
}
