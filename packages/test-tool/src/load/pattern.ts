/** How the rate changes over time. */
export const PATTERNS = ['constant', 'burst', 'random', 'wave'] as const;
export type Pattern = (typeof PATTERNS)[number];

const BURST_PERIOD_MS = 10_000;
const BURST_MS = 3000;
/** Radians of the wave per millisecond: one full wave takes 63 s. */
const WAVE_SPEED = 1 / 10_000;
const WAVE_HEIGHT = 0.4;

/**
 * Share of the rate, 0 to 1, at a time of the load. `burst`: 100 % for 3 s of every 10, then 0. `wave`: 100 % for half a
 * minute, then down to 60 % and back. `random`: at most 100 %, three quarters on average.
 */
export function rateShare(pattern: Pattern, elapsedMs: number, random: () => number = Math.random): number {
  return SHARES[pattern](elapsedMs, random);
}

const SHARES: Readonly<Record<Pattern, (elapsedMs: number, random: () => number) => number>> = {
  constant: () => 1,
  burst: (elapsedMs) => (elapsedMs % BURST_PERIOD_MS < BURST_MS ? 1 : 0),
  random: (_elapsedMs, random) => Math.min(1, random() * 2),
  wave: (elapsedMs) => Math.min(1, 1 + WAVE_HEIGHT * Math.sin(elapsedMs * WAVE_SPEED)),
};
