import { conformance } from '@litestream/core/conformance';
import { afterAll, describe, it } from 'vitest';

import { SftpReplicaClient } from '../src/index.ts';
import { SftpTestServer } from './sftp-server.ts';

const server = await SftpTestServer.start();
server.namesPerAnswer = 20;
afterAll(() => server[Symbol.asyncDispose]());
const { host, user, keyPath, hostKey } = server;

conformance({
  name: 'sftp',
  runCount: 224,
  // On a busy machine, too; less than vitest gives a test.
  timeoutMs: 150_000,
  describe,
  it,
  // Four answers.
  fileCount: 70,
  client: (place) => new SftpReplicaClient({ host, user, keyPath, hostKey, path: `${server.data}/${place}` }),
  wrongCredentials: (path) => new SftpReplicaClient({ host, user, password: 'wrong', hostKey, path }),
  unreachable: (path) => new SftpReplicaClient({ host: '127.0.0.1:1', user, keyPath, hostKey, path }),
});
