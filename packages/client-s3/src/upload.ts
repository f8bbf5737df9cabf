import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { type Body, BodyReader, loadSdk } from '@litestream/core';
import { Readable } from 'node:stream';

import { type S3Session, sendOptions } from './connection/session.ts';

/** The most parts of one object. */
const PART_COUNT_MAX = 10_000;

/**
 * Stores a body: in one request below the part size, otherwise in parts. At most `concurrency + 1` parts are in memory.
 * After a failure or an abort no part is left on the server.
 *
 * @returns the object's ETag and how many bytes it has
 */
export async function upload(
  session: S3Session,
  input: Target,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<{ etag: string | undefined; size: number }> {
  const reader = new BodyReader(body, signal);
  const small = body.size !== undefined && body.size < session.settings.partSize;
  try {
    const etag = await (small
      ? putWhole(session, input, reader, signal)
      : putParts(session, input, reader, body.size ?? body.sizeMax, signal));
    return { etag, size: reader.size };
  } catch (error) {
    throw reader.errorOr(session.error(error, input.Key ?? '', signal));
  }
}

type Target = Omit<PutObjectCommandInput, 'Body'>;

async function putWhole(
  { sdk, client }: S3Session,
  input: Target,
  reader: BodyReader,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const bytes = await reader.collect();
  const stored = await client.send(new sdk.PutObjectCommand({ ...input, Body: bytes }), sendOptions(signal));
  return stored.ETag;
}

async function putParts(
  session: S3Session,
  input: Target,
  reader: BodyReader,
  sizeMax: number | undefined,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { partSize, concurrency } = session.settings;
  const { Upload } = await loadSdk('@aws-sdk/lib-storage', () => import('@aws-sdk/lib-storage'));
  const transfer = new Upload({
    client: tidyClient(session, signal),
    params: { ...input, Body: Readable.from(reader.chunks(), { objectMode: false }) },
    partSize: Math.max(partSize, Math.ceil((sizeMax ?? 0) / PART_COUNT_MAX)),
    queueSize: concurrency,
  });
  const stored = await transfer.done();
  return stored.ETag;
}

/**
 * The SDK's client for `Upload`. The abort of `Upload` itself rejects while parts are still in flight, and leaves them on the
 * server. So the signal goes into each request instead: the requests fail, `Upload` removes its parts, and only then rejects.
 * Creating the upload is never aborted (its answer names what to remove), nor is removing it, whose failure must not hide the
 * first error.
 */
function tidyClient(session: S3Session, signal: AbortSignal | undefined): S3Client {
  const { sdk, client } = session;
  const send = async (command: Parameters<S3Client['send']>[0]): Promise<unknown> => {
    if (command instanceof sdk.AbortMultipartUploadCommand) {
      return client.send(command).catch((error: unknown) => ({ error }));
    }
    const whole = command instanceof sdk.CreateMultipartUploadCommand;
    return client.send(command, whole ? {} : sendOptions(signal));
  };
  return Object.create(client, { send: { value: send } }) as S3Client;
}
