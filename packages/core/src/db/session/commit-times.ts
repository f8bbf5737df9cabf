/**
 * The time that a level-0 file is stamped with. A restore by time takes the files up to that time, and merged files
 * carry that of their last transaction: both hold only if times rise with transactions, regardless of the clock.
 */
import { readFileChunks } from '../../files/safe-files.ts';
import { isLtxError, verifyLtx } from '@litestream/ltx';
import type { Op } from '../../storage/contract/contract.ts';
import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/logger.ts';
import type { LocalLtx } from '../../local-ltx/local-ltx.ts';
import type { History } from './options.ts';

/** Behind by less than this, a clock was adjusted, or two files were written within one millisecond. */
const BEHIND_MS_MIN = 1000;
/** Files looked at for the time of the last one, where the last one is damaged. */
const FILES_MAX = 8;

export class CommitTimes {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #lastMs = Number.NEGATIVE_INFINITY;
  #isBehind = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** A file with this time exists: the next time is later. */
  raise(timestampMs: number): void {
    this.#lastMs = Math.max(this.#lastMs, timestampMs);
  }

  /** Milliseconds since 1970: now, or one more than the last time where the clock shows less. */
  next(): number {
    const nowMs = this.#clock.now();
    const behindMs = this.#lastMs - nowMs;
    if (behindMs >= BEHIND_MS_MIN && !this.#isBehind) {
      this.#logger.warn('clock was set back, transactions are stamped in their order until it has caught up', {
        behind_ms: behindMs,
        last: new Date(this.#lastMs),
      });
    }
    this.#isBehind = behindMs >= BEHIND_MS_MIN;
    this.#lastMs = Math.max(nowMs, this.#lastMs + 1);
    return this.#lastMs;
  }
}

/**
 * If the last level-0 file is lost or damaged: the latest time that the remaining files, here and on replicas, state.
 */
export async function lastTimeMs(level0: LocalLtx, history: History | undefined, op: Op): Promise<number> {
  const remote = await history?.lastTimestamp?.(op);
  const local = await lastLocalTimeMs(level0);
  return Math.max(remote?.getTime() ?? Number.NEGATIVE_INFINITY, local);
}

async function lastLocalTimeMs(level0: LocalLtx): Promise<number> {
  for (const { path } of level0.list().slice(-FILES_MAX).reverse()) {
    try {
      // Verified, because a wrong time in the future would determine all later times until then.
      return (await verifyLtx(readFileChunks(path), { file: path })).header.timestampMs;
    } catch (error) {
      if (!isLtxError(error)) throw error;
    }
  }
  return Number.NEGATIVE_INFINITY;
}
