import { s3 } from '@litestream/client-s3';

import { S3TestServer } from '../../packages/client-s3/test/s3-server.ts';
import { startTlsFront } from '../../packages/client-s3/test/tls-front.ts';
import type { BadPlace } from './conditions.ts';
import { Replica, SECRET } from './replica.ts';

export async function openS3(): Promise<BadPlace> {
  const server = await S3TestServer.start();
  const tls = await startTlsFront(server.endpoint);
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const replica = new Replica(
    s3(),
    {
      bucket: 'litestream',
      path: 'app',
      endpoint,
      region: 'us-east-1',
      'access-key-id': accessKeyId,
      'secret-access-key': secretAccessKey,
      'force-path-style': true,
    },
    // Nothing that this machine may know.
    {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_CONFIG_FILE: '/nowhere',
      AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
    },
  );
  const refusing =
    (operation: string, status: number, code: string, headers = {}) =>
    (): void => {
      server.fault = (call) => (call.operation === operation ? { kind: 'status', status, code, headers } : undefined);
    };
  const listRefused =
    (status: number, code: string, headers = {}) =>
    async (): Promise<unknown> => {
      refusing('ListObjectsV2', status, code, headers)();
      return await replica.list();
    };
  const writeRefused = (status: number, code: string) => async (): Promise<unknown> => {
    refusing('PutObject', status, code)();
    return await replica.write();
  };
  const kept = (reason: string) => (): void => {
    server.kept = () => reason;
  };
  return {
    mend: () => {
      server.fault = () => undefined;
      server.kept = () => undefined;
    },
    attempts: {
      'wrong-key': () => replica.list({ 'secret-access-key': SECRET }),
      'no-key': () => replica.list({ 'access-key-id': undefined, 'secret-access-key': undefined }),
      expired: listRefused(400, 'ExpiredToken'),
      region: () => replica.list({ region: 'eu-west-3' }),
      clock: listRefused(403, 'RequestTimeTooSkewed'),
      bucket: () => replica.list({ bucket: 'nowhere' }),
      'read-only': writeRefused(403, 'AccessDenied'),
      'no-delete': () => replica.remove(kept('Access Denied')),
      locked: () => replica.remove(kept('Access Denied because object protected by object lock.')),
      full: writeRefused(507, 'XMinioStorageFull'),
      throttled: writeRefused(503, 'SlowDown'),
      redirect: listRefused(301, 'PermanentRedirect', { location: 'http://127.0.0.1:1/' }),
      proxy: () => replica.proxied(),
      impostor: () => replica.list({ endpoint: tls.endpoint }),
      unreachable: () => replica.list({ endpoint: 'http://127.0.0.1:1' }),
    },
    [Symbol.asyncDispose]: async () => {
      await tls[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
