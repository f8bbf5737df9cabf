import { malformedAnswer, settleAborted, untilAborted } from '@litestream/core/client';
import type { ObjectHead, PutContent, PutOptions } from '@litestream/core/client';

import { PART_COUNT_MAX, TIMESTAMP_KEY } from './options.ts';
import type { OssSession } from './session.ts';

/** An aborted upload has this long to remove its parts. */
const CLEANUP_MS = 2_000;

/** The target and the options of an upload. */
interface Target {
  readonly session: OssSession;
  readonly key: string;
  readonly options: PutOptions;
}

/**
 * Stores an object: in one request if it fits in a part, otherwise in parts. At most `concurrency + 1` parts are in memory. A
 * failed upload leaves no parts.
 */
export async function upload(
  session: OssSession,
  key: string,
  content: PutContent,
  options: PutOptions,
): Promise<ObjectHead> {
  options.signal?.throwIfAborted();
  const stored = store({ session, key, options }, content);
  return { version: await settleAborted(stored, options.signal, CLEANUP_MS) };
}

/** @returns the ETag */
async function store(target: Target, content: PutContent): Promise<string> {
  const { session, options } = target;
  const { size = content.sizeMax } = content;
  const parts = inParts(untilAborted(content.chunks(), options.signal), partSizes(session.settings.partSize, size));
  const first = await parts.next();
  const bytes = first.done === true ? Buffer.alloc(0) : first.value.content;
  return first.done === true || first.value.last ? await put(target, bytes) : await multipart(target, bytes, parts);
}

async function put({ session, key, options }: Target, content: Buffer): Promise<string> {
  const { res } = await session.run(options.signal, (client) => client.put(key, content, described(options)));
  return etagOf(res);
}

/** Metadata and condition in the terms of the SDK. */
function described(options: PutOptions): {
  readonly meta: never;
  readonly mime: string;
  readonly headers?: Record<string, string>;
} {
  const { contentType, time } = options;
  return {
    meta: (time === undefined ? {} : { [TIMESTAMP_KEY]: time }) as never,
    mime: contentType,
    ...condition(options),
  };
}

function condition({ ifNoneMatch }: PutOptions): { readonly headers?: Record<string, string> } {
  return ifNoneMatch === '*' ? { headers: { 'x-oss-forbid-overwrite': 'true' } } : {};
}

async function multipart(target: Target, first: Buffer, rest: AsyncIterable<Part>): Promise<string> {
  const { session, key, options } = target;
  const { signal } = options;
  const { uploadId } = await session.run(signal, (client) => client.initMultipartUpload(key, described(options)));
  const inFlight = new Set<Promise<void>>();
  try {
    const done: { number: number; etag: string }[] = [];
    let failure: { readonly error: unknown } | undefined;
    let count = 0;
    const send = async (content: Buffer): Promise<void> => {
      const number = ++count;
      const sent: Promise<void> = uploadPart(target, uploadId, number, content)
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
    const { res } = await session.run(undefined, (client) =>
      client.completeMultipartUpload(key, uploadId, done, condition(options)),
    );
    return etagOf(res);
  } catch (error) {
    await Promise.all(inFlight);
    // Parts of an incomplete upload would stay, invisible and charged for.
    await session.run(undefined, (client) => client.abortMultipartUpload(key, uploadId)).catch(() => undefined);
    throw error;
  }
}

async function uploadPart(
  { session, key, options }: Target,
  uploadId: string,
  number: number,
  content: Buffer,
): Promise<string> {
  const { res } = await session.run(options.signal, (client) => {
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
