/**
 * Handles errors that a library throws where nothing can catch them: in a callback of a socket, or in a promise that it does not
 * await. Node would print such an error with its properties, credentials too, and end the process. Here, only the call that
 * caused it fails, which would get no answer: no other replica is affected.
 */
import { currentClientCall, errorText } from '@litestream/core';
import type { ClientCall, Logger } from '@litestream/core';
import { describeError } from '../util/describe-error.ts';
import { redact } from '../util/secrets.ts';
import type { Terminal } from './terminal.ts';

/** Handles one error; `call` is the call that caused it, if known. Must not throw. */
type Handler = (error: unknown, call: ClientCall | undefined) => void;

const handlers: Handler[] = [];

function handle(error: unknown): void {
  handlers.at(-1)?.(error, currentClientCall());
}

/** Handles such errors until the result is disposed, in place of a handler that was there before. */
function watch(handler: Handler): Disposable {
  if (handlers.length === 0) process.on('uncaughtException', handle).on('unhandledRejection', handle);
  handlers.push(handler);
  return {
    [Symbol.dispose]: () => {
      handlers.splice(handlers.indexOf(handler), 1);
      if (handlers.length === 0) process.off('uncaughtException', handle).off('unhandledRejection', handle);
    },
  };
}

/** For a command that ends by itself: the call fails or, if the call is unknown, the command. */
export function failOnStrayErrors(terminal: Terminal): Disposable {
  return watch((error, call) => {
    if (call !== undefined) {
      call.fail(error);
      return;
    }
    terminal.err(`Error: ${describe(error)}`);
    process.exit(1);
  });
}

/** A replica may cause this many lines in a row, and then one each `INTERVAL_MS`. */
const BURST = 10;
const INTERVAL_MS = 10_000;

/** For a daemon: logs the error, with the replica if it is known. Replication continues. */
export class StrayErrors implements Disposable {
  readonly #logger: Logger;
  #watching: Disposable | undefined;
  /** By the labels of the replica. A config bounds their number. */
  readonly #sources = new Map<string, { allowed: number; sinceMs: number; leftOut: number; logger: Logger }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Handles such errors until this is disposed. */
  watch(): void {
    this.#watching ??= watch((error, call) => this.#report(error, call));
  }

  [Symbol.dispose](): void {
    this.#watching?.[Symbol.dispose]();
    for (const { logger, leftOut } of this.#sources.values()) {
      if (leftOut > 0) logger.error('more unexpected errors in a library', { left_out: leftOut });
    }
  }

  #report(error: unknown, call: ClientCall | undefined): void {
    call?.fail(error);
    const source = this.#sourceOf(call);
    const nowMs = performance.now();
    const earned = Math.floor((nowMs - source.sinceMs) / INTERVAL_MS);
    source.allowed = Math.min(BURST, source.allowed + earned);
    source.sinceMs += earned * INTERVAL_MS;
    if (source.allowed === 0) {
      source.leftOut += 1;
      return;
    }
    source.allowed -= 1;
    const about = call === undefined ? {} : { operation: call.operation, object: call.object };
    const { leftOut } = source;
    source.leftOut = 0;
    source.logger.error('unexpected error in a library, replication continues', {
      ...about,
      error: describe(error),
      ...(leftOut === 0 ? {} : { left_out: leftOut }),
    });
    source.logger.debug('stack of the unexpected error', { stack: stackOf(error) });
  }

  #sourceOf(call: ClientCall | undefined): { allowed: number; sinceMs: number; leftOut: number; logger: Logger } {
    const labels = call?.labels ?? {};
    const name = JSON.stringify(labels);
    const known = this.#sources.get(name);
    if (known !== undefined) return known;
    const source = { allowed: BURST, sinceMs: performance.now(), leftOut: 0, logger: this.#logger.child(labels) };
    this.#sources.set(name, source);
    return source;
  }
}

/** What was thrown may be anything, even an object that throws when it is read. */
function stackOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.stack) : '';
  } catch {
    return '';
  }
}

function describe(error: unknown): string {
  try {
    return describeError(error);
  } catch {
    return redact(errorText(error));
  }
}
