import { conformance } from '@litestream/core/conformance';
import { afterAll, describe, it } from 'vitest';

import { GcsTestServer } from './gcs-server.ts';
import { clientFor } from './support.ts';

const server = await GcsTestServer.start();
const locked = await GcsTestServer.start();
server.pageSizeMax = 20;
locked.fault = () => ({ kind: 'status', status: 401, code: 'authError', message: 'Invalid Credentials' });
afterAll(() => Promise.all([server[Symbol.asyncDispose](), locked[Symbol.asyncDispose]()]));

conformance({
  name: 'gcs',
  // Four pages; the client deletes one by one.
  fileCount: 70,
  runCount: 302,
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  client: (path) => clientFor(server, { path }),
  wrongCredentials: (path) => clientFor(locked, { path }),
  missingBucket: (path) => clientFor(server, { path, bucket: 'nowhere' }),
  unreachable: (path) => clientFor(server, { path, endpoint: 'http://127.0.0.1:1' }),
});
