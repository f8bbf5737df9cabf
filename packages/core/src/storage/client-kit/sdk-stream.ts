/** Helpers for clients that convert between an SDK's Node streams and the contract's async iterables. */
import type { Readable } from 'node:stream';

import { LitestreamError } from '../../util/error.ts';
import type { Body } from '../contract/contract.ts';

/** How to read an SDK's response stream. */
export interface ReadStreamOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Bytes that the response announced. Fewer are an error, so that a broken connection never looks like a short file.
   */
  readonly size?: number | undefined;
  /** Turns the stream's error into the one to throw. */
  readonly wrapError: (error: unknown) => unknown;
}

/**
 * Reads a response stream. An abort destroys it at once, before or while it is read; leaving the iteration early
 * destroys it too. Either way its connection is freed.
 */
export function readStream(stream: Readable, options: ReadStreamOptions): AsyncIterable<Uint8Array> {
  const { signal } = options;
  // An error may occur before the stream is read: the iteration reports it later, and it must not end the process.
  stream.on('error', () => undefined);
  const abort = (): void => void stream.destroy(asError(signal?.reason));
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  stream.once('close', () => signal?.removeEventListener('abort', abort));
  return iterate(stream, options);
}

async function* iterate(stream: Readable, options: ReadStreamOptions): AsyncGenerator<Uint8Array> {
  let read = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      read += chunk.byteLength;
      yield chunk;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw options.wrapError(error);
  } finally {
    stream.destroy();
  }
  options.signal?.throwIfAborted();
  if (options.size !== undefined && read < options.size) {
    throw new LitestreamError(`the connection ended after ${read} of ${options.size} bytes`, {
      code: 'NETWORK',
      retryable: true,
    });
  }
}

/**
 * Reads a body for an upload: chunks that are safe to keep (the body may reuse its buffers), checked against the size
 * that the body announced, so that an object with another size is not stored. Remembers whether the body itself failed,
 * even if the SDK wraps the error.
 */
export class BodyReader {
  /** Bytes so far. */
  size = 0;
  readonly #body: Body;
  readonly #signal: AbortSignal | undefined;
  #failure: { error: unknown } | undefined;

  constructor(body: Body, signal?: AbortSignal) {
    this.#body = body;
    this.#signal = signal;
  }

  async *chunks(): AsyncGenerator<Buffer> {
    let isLent = false;
    try {
      this.#signal?.throwIfAborted();
      for await (const chunk of this.#body.open()) {
        this.#signal?.throwIfAborted();
        this.size += chunk.byteLength;
        if (chunk.byteLength === 0) continue;
        isLent = true;
        yield Buffer.from(chunk);
        isLent = false;
      }
      this.#checkSize();
    } catch (error) {
      // A destroyed stream over this generator throws its own error into it.
      if (!isLent) this.#failure = { error };
      throw error;
    }
  }

  /** The whole body in one buffer: for bodies known to be small. */
  async collect(): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(this.chunks()));
  }

  /** The error to throw for a failed upload: the body's own error unchanged, else `wrapped`. */
  errorOr(wrapped: unknown): unknown {
    return this.#failure === undefined ? wrapped : this.#failure.error;
  }

  #checkSize(): void {
    const { size } = this.#body;
    if (size === undefined || size === this.size) return;
    throw new LitestreamError(`the body holds ${this.size} bytes, ${size} were announced`, {
      code: 'INVALID_ARGUMENT',
    });
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
