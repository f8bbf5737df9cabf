/**
 * Decides which files are older than a retention. Wall clocks can be set, and files have their times. So the present is
 * never later than the time at which this process first looked at a replica, plus the time that has passed since by the
 * monotonic clock.
 */
import type { TXID } from '@litestream/ltx';
import type { Clock } from '../util/clock.ts';

/** A file is old if its time is before `before`, or if it ends at or below `seenTo`. */
export interface AgeLimit {
  readonly before: Date;
  /**
   * This process has seen the files up to this TXID for as long as the retention, regardless of their times. 0: none.
   */
  readonly seenTo: TXID;
}

/** Looks that are remembered per retention, so a file may be kept longer by 1/64 of it. */
const MARKS_MAX = 64;

export class FileAges {
  readonly #clock: Clock;
  readonly #retentionMs: number;
  /** Wall clock minus monotonic clock, at the first look of this process. */
  #offsetMs: number | undefined;
  /** The end of the files at each look; ascending. Only the first mark may be older than the retention. */
  #marks: { readonly atMs: number; readonly txid: TXID }[] = [];

  constructor(clock: Clock, retentionMs: number) {
    this.#clock = clock;
    this.#retentionMs = retentionMs;
  }

  /**
   * Call this at each look at the files, which reach up to `txid`.
   *
   * @param newest Time of the newest file that is listed. A clock that is ahead of it may be wrong, so it is the
   *   present for files from before this process: if nothing was written since, they are kept for longer.
   */
  look(txid: TXID, newest: Date | undefined): AgeLimit {
    const nowMs = this.#clock.monotonic();
    const wallMs = this.#clock.now();
    if (newest !== undefined) this.#offsetMs ??= Math.min(wallMs, newest.getTime()) - nowMs;
    // A clock that was set ahead since makes no file old. After a clock was set back, files may have future times: they
    // are old once they have been seen for long enough.
    const presentMs = Math.min(wallMs, (this.#offsetMs ?? Number.POSITIVE_INFINITY) + nowMs);
    return { before: new Date(presentMs - this.#retentionMs), seenTo: this.#see(txid, nowMs) };
  }

  #see(txid: TXID, nowMs: number): TXID {
    const last = this.#marks.at(-1);
    // The timeline was restarted: other files have, or will have, the same TXIDs.
    if (last !== undefined && txid < last.txid) this.#marks = [];
    const spacingMs = this.#retentionMs / MARKS_MAX;
    if (this.#marks.length === 0 || nowMs - (this.#marks.at(-1)?.atMs ?? 0) >= spacingMs) {
      this.#marks.push({ atMs: nowMs, txid });
    }
    const old = this.#marks.findLastIndex(({ atMs }) => nowMs - atMs >= this.#retentionMs);
    if (old > 0) this.#marks.splice(0, old);
    return old < 0 ? 0n : (this.#marks[0]?.txid ?? 0n);
  }
}
