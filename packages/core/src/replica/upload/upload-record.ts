import type { Position } from '../../db/session/options.ts';
import type { Clock } from '../../util/clock.ts';
import { Listeners } from '../../util/listeners.ts';

/** What the uploads of one replica did last, and the listeners that hear of it. */
export class UploadRecord {
  readonly #clock: Clock;
  readonly listeners: Listeners<Position> = new Listeners<Position>();
  #lastSyncAt: Date | undefined;
  #lastError: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get lastSyncAt(): Date | undefined {
    return this.#lastSyncAt;
  }

  /** Undefined once the replica has answered again. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Every commit up to now is on the replica. */
  synced(): void {
    this.#lastSyncAt = new Date(this.#clock.now());
  }

  failed(error: unknown): void {
    this.#lastError = error;
  }

  /** The replica has answered: it holds everything up to this position. */
  publish(position: Position): void {
    this.#lastError = undefined;
    this.listeners.tell(position);
  }
}
