import type { Clock } from '../../util/clock.ts';
import type { ReplicaEnds } from './remote-position.ts';

/** After this time another process may have written to the replica. */
const AGE_MS_MAX = 60_000;

/** The newest file of each level in the last answer of a replica, until a caller takes them. */
export class RecentPositions {
  readonly #clock: Clock;
  #tops: { readonly files: ReplicaEnds['tops']; readonly askedAtMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param askedAtMs by the monotonic clock, before the answer. */
  learn(files: ReplicaEnds['tops'], askedAtMs: number): void {
    this.#tops = { files, askedAtMs };
  }

  /** Returns the files once. */
  take(): ReplicaEnds['tops'] | undefined {
    const tops = this.#tops;
    this.#tops = undefined;
    return tops !== undefined && this.#clock.monotonic() - tops.askedAtMs < AGE_MS_MAX ? tops.files : undefined;
  }
}
