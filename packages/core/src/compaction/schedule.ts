/**
 * Runs a task on aligned boundaries, but only while there is work: after a run that left nothing pending, there is no
 * timer until the next `wake()`.
 */
import type { Clock } from '../util/clock.ts';
import { boundaryAfter } from './compaction-levels.ts';

export interface ScheduleOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Must not reject. Returns whether something is left to do at the next boundary. */
  readonly run: () => Promise<boolean>;
}

/**
 * `asleep` → (wake) → `armed` → (boundary) → `running` → `armed` or `asleep`; `stopped` from any state, permanently.
 */
type State = 'asleep' | 'armed' | 'running' | 'stopped';

export class Schedule {
  readonly #options: ScheduleOptions;
  #state: State = 'asleep';
  #wokenWhileRunning = false;
  #disarm: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  /** There is something to do at the next boundary. */
  wake(): void {
    if (this.#state === 'running') this.#wokenWhileRunning = true;
    else if (this.#state === 'asleep') this.#arm();
  }

  /** Runs at once, then continues at the boundaries. */
  runNow(): void {
    if (this.#state === 'stopped' || this.#state === 'running') return;
    this.#disarm?.();
    this.#running = this.#run();
  }

  /** Begins no further run; resolves when the current one has ended. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#disarm?.();
    await this.#running;
  }

  /** Checked again after an await: the state may have changed, which the compiler does not know. */
  #isStopped(): boolean {
    return this.#state === 'stopped';
  }

  #arm(): void {
    const { clock, intervalMs } = this.#options;
    const now = clock.now();
    this.#state = 'armed';
    this.#disarm = clock.schedule(boundaryAfter(now, intervalMs) - now, () => this.runNow());
  }

  async #run(): Promise<void> {
    this.#state = 'running';
    this.#wokenWhileRunning = false;
    const more = await this.#options.run();
    if (this.#isStopped()) return;
    this.#state = 'asleep';
    if (more || this.#wokenWhileRunning) this.#arm();
  }
}
