/** When something was seen on a replica, and for how long that is believed. */
import type { Clock } from '../clock.ts';

/** By the clock that suspended machines may stop, and by the one that people set. In milliseconds. */
export interface Moment {
  readonly monotonic: number;
  readonly now: number;
}

/** Level 0 keeps files for minutes: within this time no name there is used, and free again. */
const TRUSTED_MS = 5000;

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), now: clock.now() };
}

/** Is what was asked for at this moment, or after it, still believed? */
export function isRecent(moment: Moment | undefined, clock: Clock): boolean {
  if (moment === undefined) return false;
  const { monotonic, now } = momentOf(clock);
  return monotonic - moment.monotonic < TRUSTED_MS && Math.abs(now - moment.now) < TRUSTED_MS;
}
