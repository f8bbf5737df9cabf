import { fsync, fsyncSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';

export const fsyncAsync: (fd: number) => Promise<void> = promisify(fsync);

/** A part that may take long, in two ways: at once on this thread, or elsewhere while the event loop turns. */
export interface LongStep {
  now(): unknown;
  cooperatively(signal: AbortSignal | undefined): Promise<unknown>;
}

/** What a piece of work asks of whoever runs it: a long step, or nothing but a chance for the event loop to turn. */
export type Step = LongStep | undefined;

/** Work in small synchronous steps: the same code runs at leisure, or without a pause behind the write barrier. */
export type Steps<T> = Generator<Step, T, unknown>;

/** Runs to the end without giving up the thread: for what must not be interleaved with the application's own writes. */
export function runBlocking<T>(steps: Steps<T>): T {
  try {
    let next = steps.next();
    while (next.done !== true) next = steps.next(next.value?.now());
    return next.value;
  } finally {
    // Lets the work clean up if it was interrupted.
    steps.return(undefined as T);
  }
}

/** Runs to the end, letting the event loop turn between steps. */
export async function runCooperatively<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  try {
    let next = steps.next();
    while (next.done !== true) {
      const result = next.value === undefined ? await nextTurn() : await next.value.cooperatively(signal);
      signal?.throwIfAborted();
      next = steps.next(result);
    }
    return next.value;
  } finally {
    // Lets the work clean up if it was interrupted.
    steps.return(undefined as T);
  }
}

/** Makes what was written to a descriptor durable. */
export function durable(fd: number): LongStep {
  return { now: () => fsyncSync(fd), cooperatively: () => fsyncAsync(fd) };
}
