/** When something was seen on a replica, and how long that stays valid. */
import type { Clock } from '../../util/clock.ts';

/** In milliseconds, by the monotonic clock, which may stop while the machine is suspended, and by the wall clock. */
export interface Instant {
  readonly monotonic: number;
  readonly now: number;
}

/** Level 0 keeps files for minutes: within this time, no name can be used and become free again. */
const TRUSTED_MS = 5000;

export function instantOf(clock: Clock): Instant {
  return { monotonic: clock.monotonic(), now: clock.now() };
}

/** Is an answer to a request from this time still valid, by both clocks? */
export function isRecent(instant: Instant | undefined, clock: Clock): boolean {
  if (instant === undefined) return false;
  const { monotonic, now } = instantOf(clock);
  return monotonic - instant.monotonic < TRUSTED_MS && Math.abs(now - instant.now) < TRUSTED_MS;
}
