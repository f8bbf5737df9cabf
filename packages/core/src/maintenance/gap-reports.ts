import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Logger } from '../util/logger.ts';
import type { Gap } from '../compaction/compactor.ts';

/** If a replica has more gaps than this, some of them are reported again. */
const REPORTED_GAPS_MAX = 1000;

/** Reports each gap of one replica once: a gap appears at every level, and again when work is repeated. */
export class GapReports {
  readonly #logger: Logger;
  readonly #isReported: (txid: TXID) => boolean;
  /** First transactions of the gaps that were reported. */
  readonly #reported = new Set<TXID>();
  /** What files lack up to here was deleted, of which a warning has told. */
  #cutTo: TXID = 0n;
  /** A warning has just reported the gap that the running compaction finds. */
  #isHealing = false;

  /** `isReported`: did the replica itself report the gap that begins with this transaction? */
  constructor(logger: Logger, isReported: (txid: TXID) => boolean) {
    this.#logger = logger;
    this.#isReported = isReported;
  }

  /** Files up to this transaction were deleted, and a warning was given. */
  cut(txid: TXID): void {
    this.#cutTo = txid;
  }

  /** Runs work that finds gaps of which a warning was just given. */
  async whileHealing<T>(work: () => Promise<T>): Promise<T> {
    this.#isHealing = true;
    try {
      return await work();
    } finally {
      this.#isHealing = false;
    }
  }

  /** A snapshot makes up for the gap, but for the points in time between its transactions: these are lost. */
  report({ kind, level, minTxid, maxTxid }: Gap): void {
    if (maxTxid <= this.#cutTo || this.#reported.has(minTxid) || this.#isReported(minTxid)) return;
    if (this.#reported.size === REPORTED_GAPS_MAX) this.#reported.clear();
    this.#reported.add(minTxid);
    if (this.#isHealing) return;
    this.#logger.warn(`replica has a ${kind}, a snapshot makes up for it`, {
      level,
      'txid.min': formatTxid(minTxid),
      'txid.max': formatTxid(maxTxid),
    });
  }
}
