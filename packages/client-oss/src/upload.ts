import { BodyReader, malformedAnswer, untilAborted } from '@litestream/core';
import type { Body } from '@litestream/core';

import { PART_COUNT_MAX } from './options.ts';
import type { OssSession } from './session.ts';

/** Metadata and condition of an upload. */
export interface ObjectMeta {
  readonly meta: Readonly<Record<string, string>>;
  readonly mime: string;
  /** Store only if the object does not exist. */
  readonly isNew?: boolean | undefined;
}

function headersOf({ isNew }: ObjectMeta): { readonly headers?: Record<string, string> } {
  return isNew === true ? { headers: { 'x-oss-forbid-overwrite': 'true' } } : {};
}

/**
 * Stores a body: in one request if it fits in a part, otherwise in parts. At most `concurrency + 1` parts are in memory. A
 * failed upload leaves no parts.
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
      // Only now is it known that the body has the announced size.
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
    // Parts of an incomplete upload would stay, invisible and charged for.
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
    // The SDK's own `uploadPart` sends a stream, and its HTTP library prints a warning for each failed one. A
    // buffer causes no warning, and is sent with its MD5.
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

/** The method that the SDK's own methods use. Its types leave it out. */
interface Requests {
  request(params: object): Promise<{ res: unknown }>;
}

interface Part {
  readonly content: Buffer;
  readonly last: boolean;
}

/** Cuts a stream into parts of the given sizes. Reads one chunk ahead to detect the last part. */
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
 * For a known size, equal parts, at most as many as the service accepts. Otherwise parts that double every 1,000, so that
 * 10,000 of them hold any object that the service accepts.
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

/** The ETag that the service returns for each stored object or part. */
function etagOf(res: unknown): string {
  const { headers } = res as { headers?: { etag?: unknown } };
  if (typeof headers?.etag !== 'string') throw malformedAnswer('oss', 'it names no ETag');
  return headers.etag;
}
