import { AbsReplicaClient } from '../src/index.ts';
import type { AbsOptions } from '../src/index.ts';
import type { Azurite } from './azurite.ts';

export { MIB, file, randomBody, readAll } from '../../../tests/support/bodies.ts';

/** A client for the test server, without the environment of whoever runs the test. */
export function clientFor(server: Azurite, options: Partial<AbsOptions> = {}): AbsReplicaClient {
  const { endpoint, accountName, accountKey } = server;
  return new AbsReplicaClient({ bucket: 'litestream', path: 'app', endpoint, accountName, accountKey, ...options }, {});
}
