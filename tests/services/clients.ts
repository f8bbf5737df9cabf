/** The client packages under test, by the type their configs name. Loaded only when asked for. */
import type { ReplicaClient } from '@litestream/core';

import type { RunningService } from './service.ts';

/** Makes a client for a folder of a running service. */
export async function createClient(running: RunningService, path: string): Promise<ReplicaClient> {
  const { config } = running;
  Object.assign(process.env, running.env);
  switch (config.type) {
    case 's3': {
      const { S3ReplicaClient } = await import('@litestream/client-s3');
      return new S3ReplicaClient({
        bucket: String(config['bucket']),
        path,
        region: String(config['region']),
        endpoint: String(config['endpoint']),
        accessKeyId: String(config['access-key-id']),
        secretAccessKey: String(config['secret-access-key']),
        forcePathStyle: true,
      });
    }
    default:
      throw new Error(`no client for type ${config.type}`);
  }
}
