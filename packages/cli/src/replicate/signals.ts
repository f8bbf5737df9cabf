/** SIGINT and SIGTERM, one after the other, as they arrive from when this is made until it is disposed. */

const NAMES = { SIGINT: 'interrupt', SIGTERM: 'terminated' } as const;
export type StopSignal = keyof typeof NAMES;

/** Go's name of a signal, which its log lines use. */
export function signalText(signal: StopSignal): string {
  return NAMES[signal];
}

export class Signals implements Disposable {
  readonly #pending: StopSignal[] = [];
  readonly #first = new AbortController();
  #waiting: ((signal: StopSignal) => void) | undefined;

  constructor() {
    process.on('SIGINT', this.#receive);
    process.on('SIGTERM', this.#receive);
  }

  /** Aborted by the first signal to stop. */
  get stopping(): AbortSignal {
    return this.#first.signal;
  }

  /** The next signal to stop. Only the newest call is answered. */
  next(): Promise<StopSignal> {
    const signal = this.#pending.shift();
    if (signal !== undefined) return Promise.resolve(signal);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#receive);
    process.off('SIGTERM', this.#receive);
  }

  readonly #receive = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' && signal !== 'SIGTERM') return;
    this.#first.abort(new Error(`stopped by ${signal}`));
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#pending.push(signal);
    else waiting(signal);
  };
}
