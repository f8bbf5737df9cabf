import { GcsReplicaClient } from '../src/index.ts';
import type { GcsOptions } from '../src/index.ts';
import type { GcsTestServer } from './gcs-server.ts';

export { MIB, file, randomBody, readAll } from '../../../tests/support/bodies.ts';

/** A client for the test server, without the environment of whoever runs the test. */
export function clientFor(server: GcsTestServer, options: Partial<GcsOptions> = {}): GcsReplicaClient {
  return new GcsReplicaClient({ bucket: 'litestream', path: 'app', endpoint: server.endpoint, ...options }, {});
}
