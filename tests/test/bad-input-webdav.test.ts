/** What people get wrong about a WebDAV server, through the real command line, as for S3. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { WebdavTestServer } from '../../packages/client-webdav/test/webdav-server.ts';
import { BadBucket } from '../support/bad-bucket.ts';
import { ForwardProxy } from '../support/forward-proxy.ts';

vi.setConfig({ testTimeout: 240_000 });

const CANARIES = ['canary-password-5e02', 'canary-proxy-password-a3c9'];
const [PASSWORD = '', PROXY_PASSWORD = ''] = CANARIES;

let server: WebdavTestServer;
let bucket: BadBucket;

const files = (): string[] => [...server.entries.keys()].filter((path) => path.endsWith('.ltx'));

beforeEach(async () => {
  server = await WebdavTestServer.start();
  server.password = PASSWORD;
  bucket = await BadBucket.open({
    replica: {
      type: 'webdav',
      'webdav-url': server.url,
      'webdav-username': server.username,
      'webdav-password': PASSWORD,
      path: '/backups/app',
    },
    secrets: CANARIES,
    uploads: () => files().filter((path) => path.startsWith('/backups/app/ltx/0/')).length,
  });
});
afterEach(async () => {
  await bucket[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const refusing =
  (methods: readonly string[], status: number): (() => void) =>
  () => {
    server.fault = (method) => (methods.includes(method) ? status : undefined);
  };
const mend = (): void => {
  server.fault = () => undefined;
};

describe('a server that breaks under replication', () => {
  test('redirects', async () => {
    const broken = bucket.breaksAndMends(refusing(['PUT', 'MKCOL'], 301), /redirects elsewhere: put the address/, mend);
    await expect(broken).resolves.toBeUndefined();
  });

  test('lets nothing be deleted: replication goes on, and the log says so', async () => {
    refusing(['DELETE'], 403)();
    const goesOn = bucket.keepsGoingWithoutDeletes(/DELETE.*403.*Let the user/, files, mend);
    await expect(goesOn).resolves.toBeUndefined();
  });
});

test('a proxy is used, and may want a login', async () => {
  await using proxy = await ForwardProxy.start();
  await expect(bucket.usesProxy(proxy, PROXY_PASSWORD)).resolves.toBeUndefined();
});
