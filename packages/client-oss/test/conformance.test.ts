import { conformance } from '@litestream/core/conformance';
import { afterAll, describe, it } from 'vitest';

import { OssTestServer } from './oss-server.ts';
import { clientFor } from './support.ts';

const server = await OssTestServer.start();
server.pageSizeMax = 20;
afterAll(() => server[Symbol.asyncDispose]());

conformance({
  name: 'oss',
  runCount: 226,
  // More than one request deletes.
  fileCount: 1100,
  // Four pages.
  listCount: 70,
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  client: (path) => clientFor(server, { path }),
  wrongCredentials: (path) => clientFor(server, { path, secretAccessKey: 'not this one' }),
  missingBucket: (path) => clientFor(server, { path, bucket: 'nowhere' }),
  unreachable: (path) => clientFor(server, { path, endpoint: 'http://127.0.0.1:1' }),
});
