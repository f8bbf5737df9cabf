/** Receives SIGHUP and the signals to stop, from its creation until it is disposed. */
import { constants } from 'node:os';
import { LoggedSignal } from '../log/value.ts';
import { ControllingTerminal } from './sighup.ts';

const NAMES = { SIGINT: 'interrupt', SIGTERM: 'terminated', SIGHUP: 'hangup' } as const;
export type StopSignal = keyof typeof NAMES;
const SIGNALS = Object.keys(NAMES) as readonly StopSignal[];

/** A signal as the log lines of Litestream (Go) show it. */
export function loggedSignal(signal: StopSignal): LoggedSignal {
  return new LoggedSignal(NAMES[signal], constants.signals[signal]);
}

/** Litestream does not use these; the program of `-exec` may. The command's first lines prevent them from ending it. */
const FOR_CHILD: readonly NodeJS.Signals[] =
  process.platform === 'win32' ? [] : ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO'];

/** Passes signals that we do not use to `forward`, until the returned function is called. */
export function forwardSignals(forward: (signal: NodeJS.Signals) => void): () => void {
  for (const name of FOR_CHILD) process.on(name, forward);
  return () => {
    for (const name of FOR_CHILD) process.off(name, forward);
  };
}

export class Signals implements Disposable {
  readonly #terminal = new ControllingTerminal();
  readonly #first = new AbortController();
  readonly #firstSignal = Promise.withResolvers<StopSignal>();
  #second: ((signal: StopSignal) => void) | undefined;
  readonly #canReload: boolean;
  #reload: (() => void) | undefined;
  /** SIGHUP came before the config could be reloaded. */
  #isReloadDue = false;

  /** `canReload`: SIGHUP reloads the config, even during the start. */
  constructor({ canReload }: { readonly canReload: boolean }) {
    this.#canReload = canReload;
    for (const name of SIGNALS) process.on(name, this.#receive);
  }

  /** Calls `reload` on SIGHUP, unless the terminal is gone. Calls it at once if SIGHUP has already arrived. */
  onReload(reload: () => void): void {
    this.#reload = reload;
    if (this.#isReloadDue) reload();
  }

  /** Aborted by the first signal to stop. */
  get stopping(): AbortSignal {
    return this.#first.signal;
  }

  /** Resolves at the first signal to stop, which may have arrived already. */
  first(): Promise<StopSignal> {
    return this.#firstSignal.promise;
  }

  /** Called at each further signal to stop. */
  onSecond(listener: (signal: StopSignal) => void): void {
    this.#second = listener;
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#receive);
  }

  readonly #receive = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' && signal !== 'SIGTERM' && signal !== 'SIGHUP') return;
    if (signal === 'SIGHUP' && this.#canReload && !this.#terminal.isGone()) {
      if (this.#reload === undefined) this.#isReloadDue = true;
      else this.#reload();
      return;
    }
    if (this.#first.signal.aborted) {
      this.#second?.(signal);
      return;
    }
    this.#firstSignal.resolve(signal);
    this.#first.abort(new Error(`stopped by ${signal}`));
  };
}
