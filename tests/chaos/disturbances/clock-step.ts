import type { Disturbance } from '../disturbance.ts';

const minuteMs = 60_000;

/** The clock is ahead, or behind, for some commits. */
export const clockStep: Disturbance = {
  name: 'clock step',
  async act(life) {
    const offsetMs = life.random.pick([-600, -10, -1, 1, 10, 600, 60 * 48]) * minuteMs;
    // Servers refuse requests of clients whose clock is wrong by more than a quarter of an hour.
    const isKnown = life.store.kind === 'bucket' && Math.abs(offsetMs) > 10 * minuteMs;
    life.setWeather({ clockOffsetMs: isKnown ? 5 * minuteMs : offsetMs });
    await life.work(200, 1500);
    await life.untilAcknowledged();
    life.setWeather({});
    await life.work(200, 1500);
    await life.untilAcknowledged();
  },
};
