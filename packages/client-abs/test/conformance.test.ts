import { conformance } from '@litestream/core/conformance';
import { afterAll, describe, it } from 'vitest';

import { Azurite } from './azurite.ts';
import { clientFor } from './support.ts';

const server = await Azurite.start();
afterAll(() => server[Symbol.asyncDispose]());

conformance({
  name: 'abs on Azurite',
  // Azurite takes its time. Four pages.
  fileCount: 70,
  runCount: 302,
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  client: (path) => clientFor(server, { path, pageSize: 20 }),
  wrongCredentials: (path) => clientFor(server, { path, accountKey: Buffer.alloc(64, 1).toString('base64') }),
  missingBucket: (path) => clientFor(server, { path, bucket: 'nowhere' }),
  unreachable: (path) => clientFor(server, { path, endpoint: 'http://127.0.0.1:1/devstoreaccount1' }),
});
