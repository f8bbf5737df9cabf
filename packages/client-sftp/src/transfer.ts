import { LitestreamError } from '@litestream/core';
import type { Body } from '@litestream/core';

import type { SftpSession } from './session.ts';

/**
 * Every server accepts packets of 34,000 bytes (draft-ietf-secsh-filexfer-02, section 3), of which the library reserves 2 KiB
 * for headers. It would split more bytes in two, and send the second half only after the answer to the first.
 */
const PACKET_SIZE = 31 * 1024;
const PACKETS_IN_FLIGHT = 64;

/**
 * Writes a body to an open file. Up to 64 packets, 2 MB, are in flight.
 *
 * @returns bytes written
 */
export async function upload(
  session: SftpSession,
  handle: Buffer,
  body: Body,
  options: { readonly concurrent: boolean; readonly signal?: AbortSignal | undefined },
): Promise<number> {
  const inFlight = new Set<Promise<void>>();
  const countMax = options.concurrent ? PACKETS_IN_FLIGHT : 1;
  let failure: { readonly error: unknown } | undefined;
  let position = 0;
  for await (const chunk of body.open()) {
    for (let from = 0; from < chunk.byteLength; from += PACKET_SIZE) {
      options.signal?.throwIfAborted();
      if (failure !== undefined) throw failure.error;
      const packet = chunk.subarray(from, from + PACKET_SIZE);
      const written: Promise<void> = session
        .write(handle, position, packet)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => inFlight.delete(written));
      inFlight.add(written);
      position += packet.byteLength;
      if (inFlight.size >= countMax) await Promise.race(inFlight);
    }
  }
  await Promise.all(inFlight);
  options.signal?.throwIfAborted();
  if (failure !== undefined) throw failure.error;
  if (body.size !== undefined && position !== body.size) {
    throw new LitestreamError(`body holds ${position} bytes, ${body.size} were announced`, {
      code: 'INVALID_ARGUMENT',
    });
  }
  return position;
}

/**
 * Reads `[start, end)` of an open file in order, with read-ahead: up to 64 packets, 2 MB, are in flight or in memory.
 *
 * @param end must not be after the end of the file
 */
export async function* download(
  session: SftpSession,
  handle: Buffer,
  start: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const ahead: Promise<Buffer>[] = [];
  let asked = start;
  let position = start;
  while (position < end) {
    while (asked < end && ahead.length < PACKETS_IN_FLIGHT) {
      const packet = readFully(session, handle, asked, Math.min(PACKET_SIZE, end - asked));
      packet.catch(() => undefined); // The loop awaits it again, unless the reader stops before.
      ahead.push(packet);
      asked += PACKET_SIZE;
    }
    signal?.throwIfAborted();
    const bytes = await ahead.shift();
    signal?.throwIfAborted();
    if (bytes === undefined) return;
    position += bytes.length;
    yield bytes;
  }
}

/** Reads all bytes: a server may answer with fewer than requested, although the file has more. */
async function readFully(session: SftpSession, handle: Buffer, position: number, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let read = 0; read < size;) {
    const part = await session.read(handle, position + read, size - read);
    if (part.length === 0) {
      throw new LitestreamError('the file became shorter while it was read', {
        code: 'OBJECT_CHANGED',
        backend: 'sftp',
        retryable: true,
      });
    }
    parts.push(part);
    read += part.length;
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}
