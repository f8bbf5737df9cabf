/** What the syncs of one database did, and when. */
import type { Clock } from '../../util/clock.ts';
import { CurrentWork } from './current-work.ts';
import { WorkCounter } from './work-totals.ts';

export class SyncRecord {
  readonly #clock: Clock;
  readonly activity: CurrentWork;
  readonly totals: WorkCounter = new WorkCounter();
  /** When the last sync succeeded. */
  lastSyncAt: Date | undefined;
  /** When everything committed was last known to be in the local files. */
  lastLookAt: Date | undefined;
  /** Of the last sync; undefined if it succeeded. */
  lastError: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.activity = new CurrentWork(() => clock.now());
  }

  /** A sync has succeeded. */
  synced(): void {
    this.lastSyncAt = new Date(this.#clock.now());
    this.lastLookAt = this.lastSyncAt;
  }

  /** Nothing has changed since the last sync. */
  looked(): void {
    if (this.lastError === undefined) this.lastLookAt = new Date(this.#clock.now());
  }
}
