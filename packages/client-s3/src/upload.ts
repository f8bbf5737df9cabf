import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { type PutContent, loadSdk } from '@litestream/core/client';
import { Readable } from 'node:stream';

import { type S3Session, sendOptions } from './connection/session.ts';

/** The most parts of one object. */
const PART_COUNT_MAX = 10_000;

/**
 * Stores an object in parts. At most `concurrency + 1` of them are in memory. After a failure or an abort no part is left on the
 * server.
 */
export async function putParts(
  session: S3Session,
  input: Omit<PutObjectCommandInput, 'Body'>,
  content: PutContent,
  signal: AbortSignal | undefined,
): Promise<{ ETag?: string | undefined }> {
  const { partSize, concurrency } = session.settings;
  const { size = content.sizeMax ?? 0 } = content;
  const { Upload } = await loadSdk('@aws-sdk/lib-storage', () => import('@aws-sdk/lib-storage'));
  const transfer = new Upload({
    client: tidyClient(session, signal),
    params: { ...input, Body: Readable.from(content.chunks(), { objectMode: false }) },
    partSize: Math.max(partSize, Math.ceil(size / PART_COUNT_MAX)),
    queueSize: concurrency,
  });
  return await transfer.done();
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
