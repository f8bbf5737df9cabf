import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Logger } from '../util/logger.ts';
import type { Hole } from '../compaction/compactor.ts';

/** If a replica has more gaps than this, some of them are reported again. */
const HOLES_TOLD_MAX = 1000;

/** Reports each gap of one replica once: a gap appears at every level, and again when work is repeated. */
export class HoleReports {
  readonly #logger: Logger;
  readonly #isTold: (txid: TXID) => boolean;
  /** First transactions of the gaps that were reported. */
  readonly #told = new Set<TXID>();
  /** What files lack up to here was deleted, of which a warning has told. */
  #cutTo: TXID = 0n;
  /** A warning has just reported the gap that the running compaction finds. */
  #isHealing = false;

  /** `isTold`: did the replica itself report the gap that begins with this transaction? */
  constructor(logger: Logger, isTold: (txid: TXID) => boolean) {
    this.#logger = logger;
    this.#isTold = isTold;
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
  report({ kind, level, minTxid, maxTxid }: Hole): void {
    if (maxTxid <= this.#cutTo || this.#told.has(minTxid) || this.#isTold(minTxid)) return;
    if (this.#told.size === HOLES_TOLD_MAX) this.#told.clear();
    this.#told.add(minTxid);
    if (this.#isHealing) return;
    this.#logger.warn(`replica has a ${kind}, a snapshot makes up for it`, {
      level,
      'txid.min': formatTxid(minTxid),
      'txid.max': formatTxid(maxTxid),
    });
  }
}
