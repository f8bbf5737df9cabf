import type { Clock } from '../../src/util/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly task: () => void;
}

/** Time that passes only when a test says so. */
export class FakeClock implements Clock {
  #elapsedMs = 0;
  readonly #startMs = Date.UTC(2026, 0, 1);
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  schedule(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that wait: none means nothing will ever wake up by itself. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets time pass, timer by timer, with a pause for what each sets off. */
  async advance(delayMs: number): Promise<void> {
    const endMs = this.#elapsedMs + delayMs;
    for (;;) {
      await settle();
      const next = [...this.#timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      this.#timers.delete(next);
      next.task();
    }
    this.#elapsedMs = endMs;
    await settle();
  }
}

/** What a file operation that is under way goes by. */
const FILE_WORK = new Set(['FSReqPromise', 'FSReqCallback', 'CloseReq']);

/** Resolves when nothing reads files any more, and what followed from that has happened. */
export async function settle(): Promise<void> {
  for (let quietTurns = 0; quietTurns < 5; quietTurns++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (process.getActiveResourcesInfo().some((name) => FILE_WORK.has(name))) quietTurns = -1;
  }
}
