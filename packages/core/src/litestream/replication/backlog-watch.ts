/** Limits the local files that are kept for a replica that does not take them. */
import { statSync } from 'node:fs';
import type { TXID } from '@litestream/ltx';
import type { DB } from '../../db/db.ts';
import { systemClock } from '../../util/clock.ts';
import type { Clock } from '../../util/clock.ts';

/** A snapshot of any size is cheaper than this many uploads. */
const FILES_MAX = 10_000;
/** Fewer bytes are kept even if a snapshot is smaller. */
const BYTES_MIN = 64 * 1024 * 1024;

export interface WaitingReplica {
  readonly replica: { readonly position: { readonly txid: TXID } };
  /** Releases local files older than `before` that the replica does not have: a snapshot will replace them. */
  forgo(before: Date): void;
}

export interface BacklogWatchOptions {
  /** Least time between two looks, in milliseconds. */
  readonly intervalMs: number;
  /** Younger files are kept. In milliseconds. */
  readonly retentionMs: number;
  readonly clock?: Clock | undefined;
}

/**
 * Releases the local files that wait for a replica that is slow or down, once they outweigh a snapshot and another replica has them.
 */
export class BacklogWatch {
  readonly #db: DB;
  readonly #replicas: readonly WaitingReplica[];
  readonly #options: BacklogWatchOptions;
  readonly #clock: Clock;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(db: DB, replicas: readonly WaitingReplica[], options: BacklogWatchOptions) {
    this.#db = db;
    this.#replicas = replicas;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  look(): void {
    const { intervalMs, retentionMs } = this.#options;
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#lookedAtMs < intervalMs) return;
    this.#lookedAtMs = nowMs;
    const positions = this.#replicas.map(({ replica }) => replica.position.txid);
    const farthest = positions.reduce((max, txid) => (txid > max ? txid : max), 0n);
    for (const replica of this.#replicas) {
      const { txid } = replica.replica.position;
      if (txid >= farthest || !isTooFarBehind(this.#db, txid, farthest)) continue;
      replica.forgo(new Date(this.#clock.now() - retentionMs));
    }
  }
}

/**
 * Whether the files that a replica lacks outweigh a snapshot. Only files that another replica has count: files that no
 * replica has are never deleted.
 */
function isTooFarBehind(db: DB, position: TXID, farthest: TXID): boolean {
  const bytesMax = Math.max(BYTES_MIN, statSync(db.path, { throwIfNoEntry: false })?.size ?? 0);
  const waiting = db
    .localLtx(0)
    .list()
    .filter(({ maxTxid }) => maxTxid > position && maxTxid <= farthest);
  if (waiting.length > FILES_MAX) return true;
  let bytes = 0;
  for (const { path } of waiting) {
    bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > bytesMax) return true;
  }
  return false;
}
