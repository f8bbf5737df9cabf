import type { StallWatch } from './stall-watch.ts';

/** Counts one attempt; its end is reported once. */
export interface Attempt {
  readonly watch: StallWatch;
  bytes: number;
  count: number;
  end(error?: unknown): void;
}

export interface GuardedStream {
  readonly attempt: Attempt;
  readonly wrap: (error: unknown) => unknown;
}

/**
 * Passes a body through: counts bytes, detects stalls and aborts, and wraps errors. Ends the attempt when the iteration
 * ends, fails or is left.
 */
export async function* guardStream(
  source: AsyncIterable<Uint8Array>,
  stream: GuardedStream,
): AsyncGenerator<Uint8Array> {
  const { attempt, wrap } = stream;
  const { watch } = attempt;
  let iterator: AsyncIterator<Uint8Array> | undefined;
  let open = true;
  try {
    iterator = source[Symbol.asyncIterator]();
    const from = iterator;
    for (;;) {
      let result;
      try {
        result = await watch.step(() => from.next());
      } catch (error) {
        open = false;
        attempt.end(error);
        abandon(from);
        throw wrap(error);
      }
      if (result.done === true) {
        open = false;
        return;
      }
      attempt.bytes += result.value.byteLength;
      yield result.value;
    }
  } finally {
    if (open) await iterator?.return?.();
    attempt.end();
  }
}

/**
 * Frees a stream that failed or hangs, without waiting for it: a generator that is blocked in `next` never completes
 * `return`. Its further errors are ignored, because the reason has been reported.
 */
function abandon(iterator: AsyncIterator<Uint8Array>): void {
  Promise.resolve()
    .then(() => iterator.return?.())
    .catch(() => undefined);
}

/** The source of a body failed, not the client: the cause goes to the caller unchanged. */
export class SourceFailure extends Error {
  constructor(cause: unknown) {
    super('the body could not be read', { cause });
  }
}

/** A body whose source is read with the watch's clock stopped, so that only the client's own stalls count. */
export async function* meteredBody(
  source: () => AsyncIterable<Uint8Array>,
  attempt: Attempt,
  onFailure: (failure: SourceFailure) => void,
): AsyncGenerator<Uint8Array> {
  let iterator: AsyncIterator<Uint8Array> | undefined;
  try {
    for (;;) {
      attempt.watch.signal.throwIfAborted();
      let result;
      try {
        const from = (iterator ??= source()[Symbol.asyncIterator]());
        result = await attempt.watch.outside(() => from.next());
      } catch (error) {
        iterator = undefined;
        const failure = new SourceFailure(error);
        onFailure(failure);
        throw failure;
      }
      if (result.done === true) {
        iterator = undefined;
        return;
      }
      attempt.bytes += result.value.byteLength;
      yield result.value;
    }
  } finally {
    await iterator?.return?.();
  }
}
