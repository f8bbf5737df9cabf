/** Signals as they arrive from when this is made until it is disposed: those to stop one after the other, and SIGHUP. */
import { constants } from 'node:os';
import { LoggedSignal } from '../log/value.ts';
import { Hangup } from './hangup.ts';

const NAMES = { SIGINT: 'interrupt', SIGTERM: 'terminated', SIGHUP: 'hangup' } as const;
export type StopSignal = keyof typeof NAMES;
const SIGNALS = Object.keys(NAMES) as readonly StopSignal[];

/** A signal as Go's log lines tell it. */
export function loggedSignal(signal: StopSignal): LoggedSignal {
  return new LoggedSignal(NAMES[signal], constants.signals[signal]);
}

export class Signals implements Disposable {
  readonly #pending: StopSignal[] = [];
  readonly #hangup = new Hangup();
  readonly #first = new AbortController();
  #waiting: ((signal: StopSignal) => void) | undefined;
  #reload: (() => void) | undefined;

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#receive);
  }

  /** From now on SIGHUP asks for this instead of stopping, unless it says that the terminal is gone. */
  onReload(reload: () => void): void {
    this.#reload = reload;
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
    for (const name of SIGNALS) process.off(name, this.#receive);
  }

  readonly #receive = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' && signal !== 'SIGTERM' && signal !== 'SIGHUP') return;
    if (signal === 'SIGHUP' && this.#reload !== undefined && !this.#hangup.isTerminalGone()) {
      this.#reload();
      return;
    }
    this.#first.abort(new Error(`stopped by ${signal}`));
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#pending.push(signal);
    else waiting(signal);
  };
}
