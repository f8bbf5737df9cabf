/** Verifies the signatures of OSS, version 1 and 4, in a request's headers, independently of the SDK that made them. */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Query parameters that version 1 signs; the service's reference lists them. */
const SUBRESOURCES = new Set(
  'acl append callback continuation-token delete location objectMeta partNumber position restore security-token stat symlink tagging uploadId uploads versionId versions'.split(
    ' ',
  ),
);
const SKEW_MS_MAX = 15 * 60_000;

export interface Login {
  readonly accessKeyId: string;
  readonly accessKeySecret: string;
  readonly region: string;
}

/** Why a request is refused: status, code and message of the service; `undefined` if its signature is right. */
export function checkSignature(
  request: IncomingMessage,
  resource: { readonly bucket: string; readonly key: string },
  login: Login,
): [number, string, string] | undefined {
  const authorization = request.headers.authorization ?? '';
  const path = resource.bucket === '' ? '/' : `/${resource.bucket}/${resource.key}`;
  if (authorization.startsWith('OSS4-HMAC-SHA256 ')) return checkV4(request, path, authorization, login);
  if (authorization.startsWith('OSS ')) return checkV1(request, path, authorization, login);
  return [403, 'AccessDenied', 'AccessDenied'];
}

function checkV1(
  request: IncomingMessage,
  path: string,
  authorization: string,
  login: Login,
): [number, string, string] | undefined {
  const [, id, signature] = /^OSS ([^:]+):(.+)$/.exec(authorization) ?? [];
  if (id !== login.accessKeyId) return unknownKey();
  const { headers } = request;
  const date = String(headers['x-oss-date'] ?? headers.date);
  if (!(Math.abs(Date.now() - Date.parse(date)) < SKEW_MS_MAX)) return skewed();
  const parameters = queryOf(request)
    .filter(([name]) => SUBRESOURCES.has(name) || name.startsWith('response-'))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .sort();
  const text = [
    request.method,
    headers['content-md5'] ?? '',
    headers['content-type'] ?? '',
    date,
    ...ossHeaders(request).map(([name, value]) => `${name}:${value}`),
    path + (parameters.length === 0 ? '' : `?${parameters.join('&')}`),
  ].join('\n');
  const expected = createHmac('sha1', login.accessKeySecret).update(text).digest('base64');
  return signature === expected ? undefined : mismatch();
}

function checkV4(
  request: IncomingMessage,
  path: string,
  authorization: string,
  login: Login,
): [number, string, string] | undefined {
  const { headers } = request;
  const fields = new Map(
    authorization
      .slice(authorization.indexOf(' ') + 1)
      .split(/, ?/)
      .map((field): [string, string] => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]),
  );
  const [id, ...scope] = (fields.get('Credential') ?? '').split('/');
  if (id !== login.accessKeyId) return unknownKey();
  const date = String(headers['x-oss-date'] ?? headers.date);
  const atMs = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(Date.now() - atMs) < SKEW_MS_MAX)) return skewed();
  if (scope[1] !== login.region) return [400, 'InvalidArgument', 'Invalid signing region in Authorization header.'];
  const additional = (fields.get('AdditionalHeaders') ?? '').split(';').filter((name) => name !== '');
  const signed = new Map([
    ...ossHeaders(request),
    ...['content-type', 'content-md5', ...additional]
      .filter((name) => headers[name] !== undefined)
      .map((name): [string, string] => [name, String(headers[name]).trim()]),
  ]);
  const canonical = [
    request.method,
    encode(path).replaceAll('%2F', '/'),
    queryOf(request)
      .map(([name, value]) => encode(name) + (value === '' ? '' : `=${encode(value)}`))
      .sort()
      .join('&'),
    ...[...signed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}:${value}`),
    '',
    additional.join(';'),
    headers['x-oss-content-sha256'] ?? 'UNSIGNED-PAYLOAD',
  ].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const text = ['OSS4-HMAC-SHA256', date, scope.join('/'), hash].join('\n');
  let key: Buffer = Buffer.from(`aliyun_v4${login.accessKeySecret}`);
  for (const part of scope) key = createHmac('sha256', key).update(part).digest();
  const expected = createHmac('sha256', key).update(text).digest('hex');
  return fields.get('Signature') === expected ? undefined : mismatch();
}

function ossHeaders(request: IncomingMessage): [string, string][] {
  return Object.entries(request.headers)
    .filter(([name]) => name.startsWith('x-oss-'))
    .map(([name, value]): [string, string] => [name, String(value).trim()])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function queryOf(request: IncomingMessage): [string, string][] {
  // `+` is a plus sign to the service, not a space.
  const text = (request.url ?? '').split('?')[1] ?? '';
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      const [name, value] = at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
      return [decodeURIComponent(name), decodeURIComponent(value)];
    });
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function unknownKey(): [number, string, string] {
  return [403, 'InvalidAccessKeyId', 'The OSS Access Key Id you provided does not exist in our records.'];
}

function skewed(): [number, string, string] {
  return [403, 'RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.'];
}

function mismatch(): [number, string, string] {
  const message = 'The request signature we calculated does not match the signature you provided.';
  return [403, 'SignatureDoesNotMatch', `${message} Check your key and signing method.`];
}
