import { OssReplicaClient } from '../src/index.ts';
import type { OssOptions } from '../src/index.ts';
import type { OssTestServer } from './oss-server.ts';

/** A client for the test server, without the environment of whoever runs the test. */
export function clientFor(server: OssTestServer, options: Partial<OssOptions> = {}): OssReplicaClient {
  const { endpoint, accessKeyId, accessKeySecret } = server;
  return new OssReplicaClient(
    { bucket: 'litestream', path: 'app', endpoint, accessKeyId, secretAccessKey: accessKeySecret, ...options },
    {},
  );
}
