/**
 * What is older than a retention. Clocks are set, and files bear what they showed; so the present is never later than the
 * time at which a process first looked at a replica, and what has passed since by a clock that nobody sets.
 */
import type { TXID } from '@litestream/ltx';
import type { Clock } from '../util/clock.ts';

/** A file is old if its time is before `before`, or if it ends at or below `seenTo`. */
export interface AgeLimit {
  readonly before: Date;
  /** Up to here this process has seen the files for as long as the retention, whatever time they bear. 0: nothing. */
  readonly seenTo: TXID;
}

/** Looks that are remembered within one retention, so a file may be kept longer by this part of it. */
const MARKS_MAX = 64;

export class FileAges {
  readonly #clock: Clock;
  readonly #retentionMs: number;
  /** The time of day less the reading of the clock that nobody sets, as this process found them. */
  #offsetMs: number | undefined;
  /** By then the files reached up to there; ascending. The first may be older than the retention, no other is. */
  #marks: { readonly atMs: number; readonly txid: TXID }[] = [];

  constructor(clock: Clock, retentionMs: number) {
    this.#clock = clock;
    this.#retentionMs = retentionMs;
  }

  /**
   * To be called at each look at the files, which reach up to `txid`.
   *
   * @param newest Time of the newest file that is listed. A clock that is ahead of it may be wrong, so for files that were
   *   there before this process it is the present: they are kept for longer where nobody has written since.
   */
  look(txid: TXID, newest: Date | undefined): AgeLimit {
    const nowMs = this.#clock.monotonic();
    const wallMs = this.#clock.now();
    if (newest !== undefined) this.#offsetMs ??= Math.min(wallMs, newest.getTime()) - nowMs;
    // A clock that was set ahead since makes nothing old. After one that was set back, files may bear times to come: they
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
