import { S3ReplicaClient } from '../src/index.ts';
import type { S3Options } from '../src/index.ts';
import type { S3TestServer } from './s3-server.ts';

export { MIB, file, randomBody, readAll } from '../../../tests/support/bodies.ts';

/** A client for the test server, without the environment of whoever runs the test. */
export function clientFor(server: S3TestServer, options: Partial<S3Options> = {}): S3ReplicaClient {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  return new S3ReplicaClient(
    { bucket: 'litestream', path: 'app', endpoint, accessKeyId, secretAccessKey, ...options },
    {},
  );
}
