/** Helpers for clients whose SDKs do not support an `AbortSignal`. */

/** Rejects with the signal's reason as soon as it is aborted; the work itself continues unobserved. */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return settleAborted(work, signal, 0);
}

/**
 * Like `raceAbort`, for work that handles the abort itself and then cleans up: it gets `graceMs` to end, so that
 * nothing is left behind after the rejection, but a dead server cannot block the caller.
 */
export async function settleAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, graceMs: number): Promise<T> {
  if (signal === undefined) return work;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const abort = (): void => {
    const fail = (): void => reject(signal.reason);
    if (graceMs === 0) {
      fail();
      return;
    }
    timer = setTimeout(fail, graceMs);
    work.then(fail, fail);
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([aborted, work]);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

/** The same chunks, but an abort ends the iteration at once, even while it waits for the next one. */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  signal?.throwIfAborted();
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await raceAbort(iterator.next(), signal);
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // Not awaited: a source that is blocked in `next` handles `return` only after that.
    if (!ended) iterator.return?.().then(undefined, () => undefined);
  }
}
