import type { FileHandle } from 'node:fs/promises';

import { LitestreamError } from '../../util/error.ts';
import type { Op } from '../contract/contract.ts';

const CHUNK_SIZE = 1 << 18;

/**
 * Reads a range of an open file and takes ownership of it: the file is closed when the iteration ends, fails or is
 * left.
 */
export function readRange(
  file: FileHandle,
  range: { offset?: number | undefined; size?: number | undefined } & Op,
): AsyncIterable<Uint8Array> {
  const generator = generate(file, range);
  let started = false;
  // A generator that was never started runs no `finally`, and an unread descriptor must not outlive its signal.
  const abandon = (): void => {
    if (!started) file.close().catch(() => undefined);
    started = true;
  };
  range.signal?.addEventListener('abort', abandon, { once: true });
  return {
    [Symbol.asyncIterator]: () => {
      range.signal?.removeEventListener('abort', abandon);
      if (started && range.signal?.aborted !== true) {
        throw new LitestreamError('a body can be read once', { code: 'INVALID_ARGUMENT' });
      }
      started = true;
      return generator;
    },
  };
}

async function* generate(
  file: FileHandle,
  range: { offset?: number | undefined; size?: number | undefined } & Op,
): AsyncGenerator<Uint8Array> {
  try {
    let position = range.offset ?? 0;
    let left = range.size ?? Number.POSITIVE_INFINITY;
    while (left > 0) {
      range.signal?.throwIfAborted();
      // A new buffer each time: the consumer may keep it.
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_SIZE, left));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      left -= bytesRead;
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
