import type { Clock } from '../../util/clock.ts';
import type { ReplicaEnds } from './remote-position.ts';

/** After this another process may have taken its turn. */
const AGE_MS_MAX = 60_000;

/** What the levels of a replica ended with when it was last asked, until somebody takes over from there. */
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

  /** Once. */
  take(): ReplicaEnds['tops'] | undefined {
    const tops = this.#tops;
    this.#tops = undefined;
    return tops !== undefined && this.#clock.monotonic() - tops.askedAtMs < AGE_MS_MAX ? tops.files : undefined;
  }
}
