/** When something was seen on a replica, and for how long that counts. */
import type { Clock } from '../../util/clock.ts';

/** In milliseconds, by the monotonic clock, which may stop while the machine is suspended, and by the wall clock. */
export interface Moment {
  readonly monotonic: number;
  readonly now: number;
}

/** Level 0 keeps files for minutes: within this time, no name there can be used and become free again. */
const TRUSTED_MS = 5000;

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), now: clock.now() };
}

/** Is an answer to a request from this time still valid, by both clocks? */
export function isRecent(moment: Moment | undefined, clock: Clock): boolean {
  if (moment === undefined) return false;
  const { monotonic, now } = momentOf(clock);
  return monotonic - moment.monotonic < TRUSTED_MS && Math.abs(now - moment.now) < TRUSTED_MS;
}
