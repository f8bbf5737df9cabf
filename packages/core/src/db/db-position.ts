import type { TXID } from '@litestream/ltx';
import { Listeners } from '../util/listeners.ts';
import type { Position } from './session/options.ts';
import type { LeftOut } from './sync/sync-context.ts';

/** How far a database is replicated locally, and since which opening of its file. */
export class DbPosition {
  readonly #listeners = new Listeners<Position>();
  #last: Position = { txid: 0n };
  #baseline: TXID = 0n;
  #generation = 0;
  #leftOut: LeftOut | undefined;

  /** Last durable level-0 file. */
  get last(): Position {
    return this.#last;
  }

  /** See `DB.baseline`. */
  get baseline(): TXID {
    return this.#baseline;
  }

  /** See `DB.generation`. */
  get generation(): number {
    return this.#generation;
  }

  /** The last transaction that has no local file because there was no room. */
  get leftOut(): LeftOut | undefined {
    return this.#leftOut;
  }

  onChange(listener: (position: Position) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** This transaction has its level-0 file. */
  publish(txid: TXID): void {
    this.#last = { txid };
    this.#listeners.tell(this.#last);
  }

  leaveOut(leftOut: LeftOut): void {
    this.#leftOut = leftOut;
  }

  /** A database file was opened. `txid`: the highest that is known for it. */
  opened(txid: TXID): void {
    this.#generation += 1;
    this.#baseline = txid;
    // Listeners hear of a position that was found later than `open`, too: a replica may have to catch up with it. The
    // same number may stand for another transaction now.
    if (txid !== this.#last.txid || (txid > 0n && this.#generation > 1)) this.publish(txid);
  }

  /** Another Litestream writes to the metadata folder: what this one knew of the folder is of no more use. */
  forget(): void {
    if (this.#last.txid > 0n) this.#generation += 1;
    this.#last = { txid: 0n };
    this.#baseline = 0n;
  }
}
