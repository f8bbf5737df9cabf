import { fsync, fsyncSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';

export const fsyncAsync: (fd: number) => Promise<void> = promisify(fsync);

/**
 * A step that may take long, which can run in two ways: at once on this thread, or elsewhere while the event loop
 * turns.
 */
export interface LongStep {
  now(): unknown;
  cooperatively(signal: AbortSignal | undefined): Promise<unknown>;
}

/** What a piece of work yields to its runner: a long step, or undefined to let the event loop turn. */
export type Step = LongStep | undefined;

/** Work in small synchronous steps: the same code runs cooperatively, or without a pause behind the write barrier. */
export type Steps<T> = Generator<Step, T, unknown>;

/**
 * Runs to the end without yielding the thread, for work that must not be interleaved with the application's own writes.
 */
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

/** Makes the data of a descriptor durable. */
export function durable(fd: number): LongStep {
  return { now: () => fsyncSync(fd), cooperatively: () => fsyncAsync(fd) };
}
