/** Limits how many tasks run at once, waits for all of them, and keeps the first failure. */
export class TaskLimiter {
  readonly #countMax: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #running = new Set<Promise<void>>();
  readonly #followed = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /** `onFailure` is called once, with the first failure. */
  constructor(countMax: number, onFailure: (error: unknown) => void) {
    this.#countMax = countMax;
    this.#onFailure = onFailure;
  }

  /** Resolves once one more task may start; rejects with the first failure of an earlier one. */
  async place(): Promise<void> {
    while (this.#running.size >= this.#countMax) await Promise.race(this.#running);
    this.throwIfFailed();
  }

  /** Counts a task as running. The returned promise never rejects: the failure is kept. */
  run(task: Promise<void>): Promise<void> {
    return this.#watch(task, this.#running);
  }

  /** The same as `run`, but the task takes no slot. */
  follow(task: Promise<void>): Promise<void> {
    return this.#watch(task, this.#followed);
  }

  #watch(task: Promise<void>, set: Set<Promise<void>>): Promise<void> {
    const watched = task
      .catch((error: unknown) => {
        if (this.#failure !== undefined) return;
        this.#failure = { error };
        this.#onFailure(error);
      })
      .finally(() => set.delete(watched));
    set.add(watched);
    return watched;
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Resolves once all tasks have ended, failed or not. */
  async settled(): Promise<void> {
    while (this.#running.size + this.#followed.size > 0) await Promise.all([...this.#running, ...this.#followed]);
  }
}
