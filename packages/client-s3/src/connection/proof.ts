/**
 * A proxy or a login page may answer any request with status 200, and the SDK accepts nearly every answer as success. So each
 * answer must hold what S3 and all compatible servers return, and what no web page holds.
 */
import type * as Sdk from '@aws-sdk/client-s3';
import { isWebPage, malformedAnswer } from '@litestream/core/client';

/** Operations whose answer describes the object in a header. */
const WITH_ETAG: ReadonlySet<string> = new Set(['PutObject', 'UploadPart', 'GetObject', 'HeadObject']);

/** Operations whose answer is a document, and the root of that document. */
const ROOTS: Readonly<Record<string, RegExp>> = {
  CreateMultipartUpload: /<(\w+:)?InitiateMultipartUploadResult[\s>]/,
  // The service may answer with status 200 and fail later; the SDK reads that error.
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

/** Makes the client reject with `UNAVAILABLE` for an answer that is not from an S3 server. */
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
  // AWS numbers its answers; some servers do not.
  const isServed = headers['x-amz-request-id'] !== undefined;
  if (WITH_ETAG.has(operation)) {
    if (!headers['etag']) return 'it names no ETag';
    // A static web page has an ETag, too. moto calls every answer a page, even an empty one.
    if (isWebPage(headers['content-type']) && headers['content-length'] !== '0' && !isServed) return 'it is a web page';
  }
  // S3 answers with 204. A server that answers with 200 sends no body.
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

/** Limits the length of a body: the SDK would collect an endless one until the memory is full. */
async function collect(body: Answer['body']): Promise<Uint8Array> {
  if (body === undefined || body instanceof Uint8Array) return body ?? new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the loop closes the connection.
    if (size > DOCUMENT_SIZE_MAX) throw malformedAnswer('s3', 'it is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function destroy(body: unknown): void {
  (body as { destroy?: () => void } | undefined)?.destroy?.();
}
