/** Canaries in every place of a config that holds a secret, by backend. */
import { expect } from 'vitest';

const MARK = 'canary';
/** In base64 and hex alphabets too, so that backends take them for keys. */
export const canary = (name: string): string => `${MARK}${Buffer.from(name).toString('hex')}${MARK}`;

/** Has to be base64 as a whole. */
const AZURE_KEY = Buffer.from(canary('abs')).toString('base64');

/** No server listens here. */
export const DEAD = '127.0.0.1:9';

/** A password that could be a part of a word. */
const SHORT = 'zq9x7';

/** Quoting changes this one. */
const QUOTED = `${MARK}q"u'o/t%e ${MARK}`;

/** Every backend, with its secrets in keys and, where it may have them, in its URL. */
export const REPLICAS: Readonly<Record<string, readonly string[]>> = {
  s3: [
    `{type: s3, bucket: b, path: p, region: r, endpoint: 'http://${DEAD}', access-key-id: ${canary('s3-id')}, secret-access-key: ${canary('s3-key')}, session-token: ${canary('s3-token')}}`,
    `{url: 's3://b/p?endpoint=http%3A%2F%2F${DEAD}&region=r&accessKeyId=${canary('url-id')}&secretAccessKey=${canary('url-key')}', access-key-id: ${canary('s3-id')}, secret-access-key: $S3_CANARY}`,
  ],
  gs: [`{type: gs, bucket: b, path: p, endpoint: 'http://u:${canary('gs-endpoint')}@${DEAD}'}`],
  abs: [
    `{type: abs, bucket: b, path: s, account-name: a, account-key: ${AZURE_KEY}, endpoint: 'http://u:${canary('abs-endpoint')}@${DEAD}/?sig=${canary('abs-query')}'}`,
    `{type: abs, bucket: b, path: p, account-name: a, account-key: ${AZURE_KEY}, endpoint: 'http://${DEAD}'}`,
    `{type: abs, bucket: b, path: q, account-name: a, sas-token: 'sv=1&sig=${canary('sas')}', endpoint: 'http://${DEAD}'}`,
    `{type: abs, bucket: b, path: r, connection-string: 'BlobEndpoint=http://${DEAD}/a;AccountName=a;AccountKey=${canary('connection')}'}`,
  ],
  oss: [
    `{type: oss, bucket: bucket, path: p, region: r, endpoint: 'http://${DEAD}', access-key-id: ${canary('oss-id')}, secret-access-key: ${canary('oss-key')}, session-token: ${canary('oss-token')}}`,
  ],
  sftp: [
    `{type: sftp, host: '${DEAD}', user: u, path: /p, password: ${canary('sftp')}}`,
    `{url: 'sftp://u:${canary('sftp-url')}@${DEAD}/p'}`,
  ],
  webdav: [
    `{type: webdav, webdav-url: 'http://u:${canary('dav-userinfo')}@${DEAD}/x?token=${canary('dav-token')}&key=${canary('dav-key')}', webdav-username: u, webdav-password: ${SHORT}, path: p}`,
    `{type: webdav, webdav-url: 'http://${DEAD}/x', webdav-username: u, webdav-password: ${JSON.stringify(QUOTED)}, path: p}`,
    `{type: webdav, webdav-url: 'http://${DEAD}', webdav-username: u, webdav-password: ${canary('dav')}, path: p}`,
    `{url: 'webdav://u:${canary('dav-url')}@${DEAD}/p'}`,
  ],
  nats: [
    `{type: nats, url: 'nats://${DEAD}/b', username: u, password: ${canary('nats')}}`,
    `{url: 'nats://${canary('nats-token')}@${DEAD}/c'}`,
    `{url: 'nats://u:${canary('nats-url')}@${DEAD}/d'}`,
  ],
};

export const ENVIRONMENT: Readonly<Record<string, string>> = {
  S3_CANARY: canary('expanded'),
  AWS_SECRET_ACCESS_KEY: canary('aws'),
  LITESTREAM_AZURE_ACCOUNT_KEY: canary('azure'),
  OSS_ACCESS_KEY_SECRET: canary('oss-env'),
};

export function expectNone(what: string, printed: string): void {
  const at = printed.indexOf(MARK);
  expect(at === -1 ? '' : printed.slice(Math.max(0, at - 200), at + 100), what).toBe('');
  expect(printed, what).not.toContain(AZURE_KEY);
  expect(printed, what).not.toContain(SHORT);
}
