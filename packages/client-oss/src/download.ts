import type { Readable } from 'node:stream';

import { httpStatus, isLitestreamError, wholeSize } from '@litestream/core/client';
import type { ObjectHead, Op, StoreRange, StoredBody } from '@litestream/core/client';
import type OssSdk from 'ali-oss';

import { TIMESTAMP_KEY } from './options.ts';
import type { OssSession } from './session.ts';

type Headers = Readonly<Record<string, string | undefined>>;

/** Opens a range of an object. */
export async function download(session: OssSession, key: string, range: StoreRange): Promise<StoredBody> {
  const { offset, size = Infinity, signal } = range;
  const isRange = offset > 0 || size !== Infinity;
  const last = size === Infinity ? '' : String(offset + size - 1);
  // Without the second header the service answers a range past the end with the whole object.
  const headers = isRange ? { Range: `bytes=${offset}-${last}`, 'x-oss-range-behavior': 'standard' } : {};
  const ask = async (client: OssSdk): Promise<OssSdk.GetStreamResult | undefined> => {
    try {
      return await explained(client, key, () => client.getStream(key, { headers }));
    } catch (error) {
      if (httpStatus(error) === 416) return undefined;
      throw error;
    }
  };
  const answer = await session.run(signal, ask, { isDownload: true });
  if (answer === undefined) return { body: nothing() };
  const { headers: found } = answer.res as { headers: Headers };
  const length = lengthOf(found);
  const whole = wholeSize(found['content-range'], length);
  return { body: answer.stream as Readable, length, size: whole, version: found['etag'] };
}

/** Asks for the size, the ETag and the time of an object. */
export async function head(session: OssSession, key: string, { signal }: Op): Promise<ObjectHead> {
  const ask = (client: OssSdk): Promise<OssSdk.HeadObjectResult> => explained(client, key, () => client.head(key));
  const { meta, res } = await session.run(signal, ask);
  const { headers } = res as unknown as { headers: Headers };
  const time = (meta as Readonly<Record<string, unknown>> | null)?.[TIMESTAMP_KEY];
  return { size: lengthOf(headers), version: headers['etag'], time: typeof time === 'string' ? time : undefined };
}

function lengthOf(headers: Headers): number | undefined {
  const { 'content-length': length } = headers;
  return length === undefined ? undefined : Number(length);
}

/**
 * Refusals of GET and HEAD come without their reason: the SDK drops the body of one, the other has none. A listing is refused for
 * the same reason.
 */
async function explained<T>(client: OssSdk, key: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    const { status } = error as { status?: unknown };
    // Below zero: no answer.
    if (isLitestreamError(error) || status === 416 || status === -1 || status === -2) throw error;
    await client.list({ prefix: key, 'max-keys': 1 }, {});
    throw error;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // An empty body.
}
