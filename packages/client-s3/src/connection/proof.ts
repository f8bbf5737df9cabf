/**
 * A proxy or a login page may answer any request with status 200, and the SDK takes nearly every answer for success. So each
 * answer must hold what S3 and all servers of its protocol give, and no web page does.
 */
import type * as Sdk from '@aws-sdk/client-s3';
import { isWebPage, malformedAnswer } from '@litestream/core';

/** Answers that say what became of the object in a header. */
const WITH_ETAG: ReadonlySet<string> = new Set(['PutObject', 'UploadPart', 'GetObject', 'HeadObject']);

/** Answers that say it in a document, and its root. */
const ROOTS: Readonly<Record<string, RegExp>> = {
  CreateMultipartUpload: /<(\w+:)?InitiateMultipartUploadResult[\s>]/,
  // The service may begin with status 200 and fail later; the SDK reads that error.
  CompleteMultipartUpload: /<(\w+:)?(CompleteMultipartUploadResult|Error)[\s>]/,
  // Without a failure it has no content.
  DeleteObjects: /<(\w+:)?DeleteResult[\s/>]/,
};

const CHECKSUM = /^x-amz-checksum-(?!algorithm$|type$)/;

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  body?: AsyncIterable<Uint8Array> | Uint8Array;
}

/** Makes the client reject with `UNAVAILABLE` for an answer that no server of S3 gives. */
export function requireProof(client: Sdk.S3Client): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const answer = result.response as Answer;
      const operation = (context.commandName ?? '').replace(/Command$/, '');
      const isSuccess = answer.statusCode >= 200 && answer.statusCode <= 299;
      // The SDK collects the whole body of all other answers.
      if (operation !== 'GetObject' || !isSuccess) answer.body = await collect(answer.body);
      if (!isSuccess) return result;
      const { headers } = args.request as { headers: Readonly<Record<string, string>> };
      const doubt = doubtOf(operation, headers, answer) ?? doubtOfDocument(operation, answer);
      if (doubt === undefined) return result;
      destroy(answer.body);
      throw malformedAnswer('s3', doubt);
    },
    // Before the SDK reads the answer.
    { step: 'deserialize', name: 'litestreamProof', priority: 'low' },
  );
}

function doubtOf(
  operation: string,
  sent: Readonly<Record<string, string>>,
  { statusCode, headers }: Answer,
): string | undefined {
  // AWS numbers its answers, not every server does.
  const isServed = headers['x-amz-request-id'] !== undefined;
  if (WITH_ETAG.has(operation)) {
    if (!headers['etag']) return 'it names no ETag';
    // A page from a file has one, too. moto calls every answer a page, also one without a byte.
    if (isWebPage(headers['content-type']) && headers['content-length'] !== '0' && !isServed) return 'it is a web page';
  }
  // S3 says 204. A server that says 200 has nothing to add.
  if (operation === 'DeleteObject' && statusCode !== 204 && headers['content-length'] !== '0' && !isServed) {
    return `it confirms a deletion with status ${statusCode} and a text`;
  }
  if (operation !== 'PutObject' && operation !== 'UploadPart') return undefined;
  const other = Object.keys(headers).find(
    (name) => CHECKSUM.test(name) && sent[name] !== undefined && sent[name] !== headers[name],
  );
  return other === undefined ? undefined : `its ${other} is not that of the bytes that were sent`;
}

function doubtOfDocument(operation: string, { body }: Answer): string | undefined {
  const root = ROOTS[operation];
  if (root === undefined) return undefined;
  const text = Buffer.from(body instanceof Uint8Array ? body : []).toString('utf8');
  return root.test(text) ? undefined : 'it is damaged, or not in the expected format';
}

/** In bytes. A page of a listing has 1000 keys of 1 KiB at most, and other documents are shorter. */
const DOCUMENT_SIZE_MAX = 32 << 20;

/** The SDK would collect a body without an end until there is no memory left. */
async function collect(body: Answer['body']): Promise<Uint8Array> {
  if (body === undefined || body instanceof Uint8Array) return body ?? new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the iteration closes the connection.
    if (size > DOCUMENT_SIZE_MAX) throw malformedAnswer('s3', 'it is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function destroy(body: unknown): void {
  (body as { destroy?: () => void } | undefined)?.destroy?.();
}
