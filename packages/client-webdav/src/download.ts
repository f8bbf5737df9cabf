import { LitestreamError, readStream } from '@litestream/core';
import type { LtxFileBody, Op } from '@litestream/core';

import type { WebdavConnection, WebdavResponse } from './connection.ts';
import { webdavError } from './errors.ts';

/** Reads a file from `offset`, `size` bytes of it, from servers with ranges and from those that ignore them. */
export async function download(
  connection: WebdavConnection,
  path: string,
  range: { offset?: number | undefined; size?: number | undefined } & Op,
): Promise<LtxFileBody> {
  const { offset = 0, size = Infinity, signal } = range;
  const ranged = offset > 0 || size !== Infinity;
  // A range has at least one byte; for an empty range, only the existence of the file matters.
  const last = size === Infinity ? '' : String(offset + Math.max(size, 1) - 1);
  const response = await connection.request(
    'GET',
    path,
    // With compression, offsets would count other bytes.
    { headers: { 'Accept-Encoding': 'identity', ...(ranged ? { Range: `bytes=${offset}-${last}` } : {}) }, signal },
    [416],
  );
  if (response.status === 416 || size === 0) {
    response.body.destroy();
    return nothing();
  }
  const partial = response.status === 206 ? contentRange(response) : undefined;
  const start = partial?.start ?? 0;
  if (start > offset) {
    response.body.destroy();
    throw new LitestreamError('the server answered with another range than the requested one', {
      code: 'UNSUPPORTED',
      backend: 'webdav',
      object: path,
    });
  }
  const length = Number(response.header('content-length') ?? Number.NaN);
  const stream = readStream(response.body, {
    signal,
    ...(Number.isNaN(length) ? {} : { size: length }),
    wrapError: (error) => webdavError(error, 'read a file', path),
  });
  const total = partial === undefined ? length : partial.total;
  const info = total === undefined || Number.isNaN(total) ? {} : { size: total };
  return Object.assign(slice(stream, offset - start, size), { info });
}

/** Drops `skip` bytes and ends after `size` more. */
async function* slice(source: AsyncIterable<Uint8Array>, skip: number, size: number): AsyncGenerator<Uint8Array> {
  let position = 0;
  for await (const chunk of source) {
    const part = chunk.subarray(Math.max(skip - position, 0), Math.max(skip + size - position, 0));
    position += chunk.byteLength;
    if (part.byteLength > 0) yield part;
    // Not exactly at the end: only reading up to the end of the body frees the connection.
    if (position > skip + size) return;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // An empty body.
}

/** `bytes 5-9/100`. */
function contentRange(response: WebdavResponse): { start: number; total: number | undefined } {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.header('content-range') ?? '');
  if (match === null) return { start: 0, total: undefined };
  return { start: Number(match[1]), total: match[2] === '*' ? undefined : Number(match[2]) };
}
