import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { NewestOfLevel } from '../compaction/newest-of-level.ts';
import { boundaryBefore } from '../compaction/compaction-levels.ts';
import type { CompactionLevel } from '../compaction/compaction-levels.ts';

/** Which levels of one replica have something to merge, and when this process last wrote to each. */
export class LevelWork {
  readonly #levels: readonly CompactionLevel[];
  readonly #tops: NewestOfLevel;
  readonly #clock: Clock;
  /** Levels whose source has, or may have, files they do not hold yet. At start that is not known of any. */
  readonly #pending: Set<number>;
  /** By the monotonic clock. */
  readonly #writtenAtMs = new Map<number, number>();
  /** What of the level below a listing did not show, by level: it is looked for once more. */
  readonly #missed = new Map<number, TXID>();
  /** Newest files of the levels when the store began to take care of the replica; undefined if they are not known. */
  #before: ReadonlyMap<number, LtxFileInfo> | undefined;

  constructor(levels: readonly CompactionLevel[], tops: NewestOfLevel, clock: Clock) {
    this.#levels = levels;
    this.#tops = tops;
    this.#clock = clock;
    this.#pending = new Set(levels.map(({ level }) => level));
  }

  /** The store takes care of the replica from now on. */
  begin(tops: ReadonlyMap<number, LtxFileInfo> | undefined): void {
    this.#before = tops;
    if (tops !== undefined) this.#tops.learn(tops);
  }

  isPending(level: number): boolean {
    return this.#pending.has(level);
  }

  /** The level below has, or may have, files for this one. Ignores a level that the replica does not have. */
  request(level: number): void {
    if (this.#levels.some((other) => other.level === level)) this.#pending.add(level);
  }

  /** The work on this level begins. */
  take(level: number): void {
    this.#pending.delete(level);
  }

  /** What the backend holds is not certain any more: each level is listed, and looked at, again. */
  restart(): void {
    this.#tops.clear();
    for (const { level } of this.#levels) this.#pending.add(level);
  }

  /** The work on this level failed. */
  failed(level: number): void {
    this.#pending.add(level);
    this.#tops.clear(); // what is on the backend is no longer certain
  }

  written(level: number): void {
    this.#writtenAtMs.set(level, this.#clock.monotonic());
  }

  /**
   * Was the level written to after this boundary? Known by the clock for what this process wrote, by the newest file's
   * time for what one before it wrote; that time is the last commit's, so it may say no once too often, never storm. A
   * time in the future, which a clock that was set back leaves, tells nothing: the level would stand still until then.
   */
  async doneSince(boundaryMs: number, level: number, op: Op): Promise<boolean> {
    const nowMs = this.#clock.now();
    const writtenAtMs = this.#writtenAtMs.get(level);
    if (writtenAtMs !== undefined && this.#clock.monotonic() - writtenAtMs < nowMs - boundaryMs) return true;
    const topMs = (await this.#tops.get(level, op))?.timestamp.getTime() ?? Number.NEGATIVE_INFINITY;
    return topMs > boundaryMs && topMs <= nowMs;
  }

  /** See `StoredReplica.isOverdue`. */
  isOverdue({ level, intervalMs }: CompactionLevel): boolean {
    const before = this.#before;
    if (before === undefined) return true;
    const source = before.get(level - 1);
    if (source === undefined || source.maxTxid <= (before.get(level)?.maxTxid ?? 0n)) return false;
    return source.timestamp.getTime() <= boundaryBefore(this.#clock.now(), intervalMs);
  }

  /**
   * A listing may be late. What is known to be there, and was not listed, is looked for at the next boundary, once. `confirmed`:
   * the last transaction that is known to be on the replica.
   */
  lookAgain(level: number, confirmed: TXID): void {
    const source = level === 1 ? confirmed : (this.#tops.known(level - 1)?.maxTxid ?? 0n);
    const reached = this.#tops.known(level)?.maxTxid ?? 0n;
    if (reached >= source || this.#missed.get(level) === source) return;
    this.#missed.set(level, source);
    this.#pending.add(level);
  }
}
