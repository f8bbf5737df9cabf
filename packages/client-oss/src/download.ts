import type { Readable } from 'node:stream';

import { isLitestreamError, readStream } from '@litestream/core';
import type { LtxFileBody, Op } from '@litestream/core';
import type OssSdk from 'ali-oss';

import type { OssSession } from './session.ts';

/** Reads an object from `offset`, `size` bytes of it. */
export async function download(
  session: OssSession,
  key: string,
  range: { offset?: number | undefined; size?: number | undefined } & Op,
): Promise<LtxFileBody> {
  const { offset = 0, size = Infinity, signal } = range;
  const ranged = offset > 0 || size !== Infinity;
  // A range has at least one byte; for an empty range, only the existence of the object matters.
  const last = size === Infinity ? '' : String(offset + Math.max(size, 1) - 1);
  // Without the second header the service answers a range past the end with the whole object.
  const headers = ranged ? { Range: `bytes=${offset}-${last}`, 'x-oss-range-behavior': 'standard' } : {};
  const answer = await session.call(key, signal, (client) => open(client, key, headers), { isDownload: true });
  if (answer === undefined) return Object.assign(nothing(), { info: {} });
  const total = /\/(\d+)$/.exec(answer.headers['content-range'] ?? '')?.[1] ?? answer.headers['content-length'];
  const info = { ...(total === undefined ? {} : { size: Number(total) }), version: answer.headers['etag'] };
  if (size === 0) {
    answer.stream.destroy();
    return Object.assign(nothing(), { info });
  }
  const length = answer.headers['content-length'];
  const bytes = readStream(answer.stream, {
    signal,
    ...(length === undefined ? {} : { size: Number(length) }),
    wrapError: (error) => session.error(error, key),
  });
  return Object.assign(bytes, { info });
}

interface Answer {
  readonly stream: Readable;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** `undefined` for a range that begins at or after the end. */
async function open(client: OssSdk, key: string, headers: object): Promise<Answer | undefined> {
  try {
    const { stream, res } = await client.getStream(key, { headers });
    return { stream: stream as Readable, headers: (res as unknown as Answer).headers };
  } catch (error) {
    if (isLitestreamError(error)) throw error;
    const { status } = error as { status?: unknown };
    if (status === 416) return undefined;
    // The SDK drops the body of a refused GET, which holds the reason. A listing is refused for the same reason.
    if (status !== -1 && status !== -2) await client.list({ prefix: key, 'max-keys': 1 }, {});
    throw error;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // An empty body.
}
