import { BodyReader, malformedAnswer, untilAborted } from '@litestream/core';
import type { Body } from '@litestream/core';

import { PART_COUNT_MAX } from './options.ts';
import type { OssSession } from './session.ts';

/** What every object carries. */
export interface ObjectMeta {
  readonly meta: Readonly<Record<string, string>>;
  readonly mime: string;
  /** Only if there is no such object. */
  readonly isNew?: boolean | undefined;
}

function headersOf({ isNew }: ObjectMeta): { readonly headers?: Record<string, string> } {
  return isNew === true ? { headers: { 'x-oss-forbid-overwrite': 'true' } } : {};
}

/**
 * Stores a body: in one request if it fits in a part, in parts otherwise, of which no more than `concurrency` and the
 * one being filled are held. An upload that fails is taken back.
 *
 * @returns bytes stored
 */
export async function upload(
  session: OssSession,
  key: string,
  object: ObjectMeta,
  body: Body,
  signal?: AbortSignal,
): Promise<{ size: number; etag: string }> {
  const reader = new BodyReader({ size: body.size, open: () => untilAborted(body.open(), signal) }, signal);
  const parts = inParts(reader.chunks(), partSizes(session.settings.partSize, body.size ?? body.sizeMax));
  try {
    const first = await parts.next();
    const content = first.done === true ? Buffer.alloc(0) : first.value.content;
    if (first.done === true || first.value.last) {
      const etag = await put(session, key, object, content, signal);
      // Only now is the body known to have ended where it said it would.
      return { size: reader.size, etag };
    }
    const etag = await multipart(session, key, object, content, parts, signal);
    return { size: reader.size, etag };
  } catch (error) {
    signal?.throwIfAborted();
    throw reader.errorOr(error);
  }
}

async function put(
  session: OssSession,
  key: string,
  object: ObjectMeta,
  content: Buffer,
  signal: AbortSignal | undefined,
): Promise<string> {
  const options = { meta: object.meta as never, mime: object.mime, ...headersOf(object) };
  const { res } = await session.call(key, signal, (client) => client.put(key, content, options));
  return etagOf(res);
}

async function multipart(
  session: OssSession,
  key: string,
  object: ObjectMeta,
  first: Buffer,
  rest: AsyncIterable<Part>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const options = { meta: object.meta as never, mime: object.mime, ...headersOf(object) };
  const { uploadId } = await session.call(key, signal, (client) => client.initMultipartUpload(key, options));
  const inFlight = new Set<Promise<void>>();
  try {
    const done: { number: number; etag: string }[] = [];
    let failure: { readonly error: unknown } | undefined;
    let count = 0;
    const send = async (content: Buffer): Promise<void> => {
      const number = ++count;
      const sent: Promise<void> = uploadPart(session, key, uploadId, number, content, signal)
        .then(
          (etag) => void done.push({ number, etag }),
          (error: unknown) => {
            failure ??= { error };
          },
        )
        .finally(() => inFlight.delete(sent));
      inFlight.add(sent);
      if (inFlight.size >= session.settings.concurrency) await Promise.race(inFlight);
      if (failure !== undefined) throw failure.error;
    };
    await send(first);
    for await (const { content } of rest) await send(content);
    await Promise.all(inFlight);
    if (failure !== undefined) throw (failure as { error: unknown }).error;
    signal?.throwIfAborted();
    const { res } = await session.call(key, undefined, (client) =>
      client.completeMultipartUpload(key, uploadId, done, headersOf(object)),
    );
    return etagOf(res);
  } catch (error) {
    await Promise.all(inFlight);
    // Parts nobody completes would stay, unseen and paid for.
    await session.call(key, undefined, (client) => client.abortMultipartUpload(key, uploadId)).catch(() => undefined);
    throw error;
  }
}

async function uploadPart(
  session: OssSession,
  key: string,
  uploadId: string,
  number: number,
  content: Buffer,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { res } = await session.call(key, signal, (client) => {
    // The SDK's own `uploadPart` sends a stream, and its HTTP library then prints a warning for each one that fails. A
    // buffer goes quietly, and with its MD5.
    const { bucket } = session.settings;
    const subres = { partNumber: number, uploadId };
    return (client as unknown as Requests).request({
      method: 'PUT',
      bucket,
      object: key,
      subres,
      content,
      successStatuses: [200],
    });
  });
  return etagOf(res);
}

/** What the SDK's own methods are made of: its types leave it out. */
interface Requests {
  request(params: object): Promise<{ res: unknown }>;
}

interface Part {
  readonly content: Buffer;
  readonly last: boolean;
}

/** Cuts a stream into parts of the given sizes. Looks one chunk ahead, to know the last part as such. */
async function* inParts(chunks: AsyncIterable<Buffer>, sizes: Iterator<number>): AsyncGenerator<Part, undefined> {
  let size = nextSize(sizes);
  let held: Buffer[] = [];
  let heldSize = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (rest.length > 0) {
      if (heldSize === size) {
        yield { content: Buffer.concat(held, heldSize), last: false };
        held = [];
        heldSize = 0;
        size = nextSize(sizes);
      }
      const some = rest.subarray(0, size - heldSize);
      held.push(some);
      heldSize += some.length;
      rest = rest.subarray(some.length);
    }
  }
  yield { content: Buffer.concat(held, heldSize), last: true };
  return undefined;
}

/**
 * Where the size is known, equal parts, few enough. Where not, parts that double every 1,000, so that 10,000 of them
 * hold any object the service takes.
 */
function* partSizes(partSize: number, total: number | undefined): Generator<number> {
  if (total !== undefined) {
    const size = Math.max(partSize, Math.ceil(total / PART_COUNT_MAX));
    for (;;) yield size;
  }
  for (let number = 0; ; number++) yield partSize * 2 ** Math.floor(number / 1000);
}

function nextSize(sizes: Iterator<number>): number {
  return Number(sizes.next().value);
}

/** What the service says of each thing it stored. */
function etagOf(res: unknown): string {
  const { headers } = res as { headers?: { etag?: unknown } };
  if (typeof headers?.etag !== 'string') throw malformedAnswer('oss', 'it names no ETag');
  return headers.etag;
}
