/** Verifies AWS Signature Version 4 in a request's headers, independently of the SDK that made it. */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Why a request is refused, as an S3 error code; `undefined` if its signature is right. */
export function checkSignature(
  request: IncomingMessage,
  keys: { accessKeyId: string; secretAccessKey: string; region: string; clockOffsetMs: number },
):
  | 'AccessDenied'
  | 'AuthorizationHeaderMalformed'
  | 'InvalidAccessKeyId'
  | 'SignatureDoesNotMatch'
  | 'RequestTimeTooSkewed'
  | undefined {
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
    request.headers.authorization ?? '',
  );
  if (match === null) return 'AccessDenied';
  const [, credential = '', signedHeaders = '', signature = ''] = match;
  const [accessKeyId, ...scope] = credential.split('/');
  if (accessKeyId !== keys.accessKeyId) return 'InvalidAccessKeyId';
  const date = String(request.headers['x-amz-date']);
  const atMs = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(Date.now() + keys.clockOffsetMs - atMs) < 15 * 60_000)) return 'RequestTimeTooSkewed';
  if (scope[1] !== keys.region) return 'AuthorizationHeaderMalformed';
  const expected = signatureOf(request, { date, scope, signedHeaders, secretAccessKey: keys.secretAccessKey });
  return expected === signature ? undefined : 'SignatureDoesNotMatch';
}

/** The signature a request must carry for what it says. `scope`: date, region, service, `aws4_request`. */
export function signatureOf(
  request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  by: { date: string; scope: readonly string[]; signedHeaders: string; secretAccessKey: string },
): string {
  const { date, scope, signedHeaders } = by;
  const canonical = [
    request.method,
    canonicalPath(request.url ?? '/'),
    canonicalQuery(request.url ?? '/'),
    ...signedHeaders.split(';').map((name) => `${name}:${String(request.headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    signedHeaders,
    request.headers['x-amz-content-sha256'],
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', date, scope.join('/'), createHash('sha256').update(canonical).digest('hex')].join(
    '\n',
  );
  let key: Buffer = Buffer.from(`AWS4${by.secretAccessKey}`);
  for (const part of scope) key = createHmac('sha256', key).update(part).digest();
  return createHmac('sha256', key).update(text).digest('hex');
}

function canonicalPath(url: string): string {
  return url.split('?')[0] ?? '/';
}

function canonicalQuery(url: string): string {
  const pairs = (url.split('?')[1] ?? '').split('&').filter((pair) => pair !== '');
  return pairs
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .sort((a, b) => (a < b ? -1 : 1))
    .join('&');
}
