import { webdav } from '@litestream/client-webdav';

import { startTlsFront } from '../../packages/client-s3/test/tls-front.ts';
import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';
import type { BadPlace } from './conditions.ts';
import { Replica, SECRET } from './replica.ts';

export async function openWebdav(): Promise<BadPlace> {
  const server = await WebdavTestServer.start();
  const tls = await startTlsFront(server.url);
  const { url, username, password } = server;
  const login = { 'webdav-username': username, 'webdav-password': password };
  const replica = new Replica(webdav(), { 'webdav-url': url, ...login, path: '/app' });
  const refusing = (refused: string, status: number): void => {
    server.fault = (method) => (method === refused ? status : undefined);
  };
  const putRefused = (status: number) => async (): Promise<unknown> => {
    refusing('PUT', status);
    return await replica.write();
  };
  const kept = (status: number) => (): Promise<unknown> => replica.remove(() => refusing('DELETE', status));
  return {
    mend: () => {
      server.fault = () => undefined;
    },
    attempts: {
      'wrong-key': () => replica.list({ 'webdav-password': SECRET }),
      'no-key': () => replica.list({ 'webdav-username': undefined, 'webdav-password': undefined }),
      expired: 'a login that is taken away is a wrong password',
      region: 'there is none',
      clock: 'no request carries a time',
      bucket: () => replica.write({ 'webdav-url': `${url}/nowhere` }),
      'read-only': putRefused(403),
      'no-delete': kept(403),
      locked: kept(423),
      full: putRefused(507),
      throttled: putRefused(429),
      redirect: putRefused(301),
      proxy: () => replica.proxied(),
      impostor: () => replica.list({ 'webdav-url': tls.endpoint }),
      unreachable: () => replica.list({ 'webdav-url': 'http://127.0.0.1:1' }),
    },
    [Symbol.asyncDispose]: async () => {
      await tls[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
