import { conformance } from '@litestream/core/conformance';
import { afterAll, describe, it } from 'vitest';

import { WebdavReplicaClient } from '../src/index.ts';
import { WebdavTestServer } from './webdav-server.ts';

const server = await WebdavTestServer.start();
afterAll(() => server[Symbol.asyncDispose]());
const { url, username, password } = server;

conformance({
  name: 'webdav',
  runCount: 212,
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  // A folder has no pages.
  fileCount: 100,
  client: (path) => new WebdavReplicaClient({ url, username, password, path }),
  wrongCredentials: (path) => new WebdavReplicaClient({ url, username, password: 'wrong', path }),
  unreachable: (path) => new WebdavReplicaClient({ url: 'http://127.0.0.1:1', username, password, path }),
});
