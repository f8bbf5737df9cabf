import { oss } from '@litestream/client-oss';

import { OssTestServer } from '../../packages/client-oss/test/oss-server.ts';
import { startTlsFront } from '../../packages/client-s3/test/tls-front.ts';
import type { BadPlace } from './conditions.ts';
import { Replica, SECRET } from './replica.ts';

export async function openOss(): Promise<BadPlace> {
  const server = await OssTestServer.start();
  const tls = await startTlsFront(server.endpoint);
  const { endpoint, region, accessKeyId, accessKeySecret } = server;
  const keys = { 'access-key-id': accessKeyId, 'secret-access-key': accessKeySecret };
  const replica = new Replica(oss(), { bucket: 'litestream', path: 'app', endpoint, region, ...keys });
  const refusing = (operations: readonly string[], status: number, code: string): void => {
    server.fault = (call) => (operations.includes(call.operation) ? { kind: 'status', status, code } : undefined);
  };
  const listRefused = (status: number, code: string) => async (): Promise<unknown> => {
    refusing(['ListObjectsV2'], status, code);
    return await replica.list();
  };
  const writeRefused = (status: number, code: string) => async (): Promise<unknown> => {
    refusing(['PutObject'], status, code);
    return await replica.write();
  };
  const deletes = ['DeleteMultipleObjects', 'DeleteObject'];
  return {
    mend: () => {
      server.fault = () => undefined;
      server.kept = () => false;
    },
    attempts: {
      'wrong-key': () => replica.list({ 'secret-access-key': SECRET }),
      'no-key': () => replica.list({ 'access-key-id': undefined, 'secret-access-key': undefined }),
      expired: listRefused(403, 'SecurityTokenExpired'),
      region: () => replica.list({ region: 'eu-central-1' }),
      clock: listRefused(403, 'RequestTimeTooSkewed'),
      bucket: () => replica.list({ bucket: 'nowhere' }),
      'read-only': writeRefused(403, 'AccessDenied'),
      'no-delete': () => replica.remove(() => refusing(deletes, 403, 'AccessDenied')),
      locked: () => replica.remove(() => (server.kept = () => true)),
      full: 'a bucket has no limit',
      throttled: writeRefused(503, 'SlowDown'),
      redirect: listRefused(301, 'PermanentRedirect'),
      // With an IP address, the SDK names the public host in its requests, which Node refuses to send to a proxy.
      proxy: () => replica.proxied({ endpoint: endpoint.replace('127.0.0.1', 'localhost') }),
      impostor: () => replica.list({ endpoint: tls.endpoint }),
      unreachable: () => replica.list({ endpoint: 'http://127.0.0.1:1' }),
    },
    [Symbol.asyncDispose]: async () => {
      await tls[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
