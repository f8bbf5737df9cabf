import { gcs } from '@litestream/client-gcs';

import { GcsTestServer } from '../../packages/client-gcs/test/gcs-server.ts';
import { startTlsFront } from '../../packages/client-s3/test/tls-front.ts';
import { RefusingTokens } from '../support/refusing-tokens.ts';
import type { BadPlace } from './conditions.ts';
import { Replica, SECRET } from './replica.ts';

export async function openGcs(): Promise<BadPlace> {
  const server = await GcsTestServer.start();
  const tls = await startTlsFront(server.endpoint);
  const { endpoint } = server;
  const replica = new Replica(gcs(), { bucket: 'litestream', path: 'app', endpoint });
  const refusing = (operation: string, status: number, message: string): void => {
    server.fault = (call) =>
      call.operation === operation ? { kind: 'status', status, code: 'refused', message } : undefined;
  };
  const listRefused = (status: number, message: string) => async (): Promise<unknown> => {
    refusing('list', status, message);
    return await replica.list();
  };
  const writeRefused = (status: number, message: string) => async (): Promise<unknown> => {
    refusing('multipart', status, message);
    return await replica.write();
  };
  const kept = (reason: string) => (): void => {
    server.kept = () => reason;
  };
  const refusedToken = (description: string) => async (): Promise<unknown> => {
    await using tokens = await RefusingTokens.start(description, SECRET);
    return await replica.list(
      { endpoint: undefined, 'project-id': 'p' },
      { GOOGLE_APPLICATION_CREDENTIALS: tokens.credentials },
    );
  };
  return {
    mend: () => {
      server.fault = () => undefined;
      server.kept = () => undefined;
    },
    attempts: {
      'wrong-key': listRefused(401, 'Invalid Credentials'),
      'no-key': () => replica.list({ endpoint: undefined }, { GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' }),
      expired: refusedToken('Token has been expired or revoked.'),
      region: 'a bucket is found by its name alone',
      clock: refusedToken('Invalid JWT: Token must be a short-lived token (60 minutes)'),
      bucket: () => replica.list({ bucket: 'nowhere' }),
      'read-only': writeRefused(403, 'someone does not have storage.objects.create access'),
      'no-delete': () => replica.remove(kept('someone does not have storage.objects.delete access')),
      locked: () => replica.remove(kept("Object is subject to bucket's retention policy")),
      full: 'a bucket has no limit',
      throttled: writeRefused(429, 'rateLimitExceeded'),
      redirect: listRefused(307, 'Temporary Redirect'),
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
