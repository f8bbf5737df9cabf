/** What the S3 servers have in common. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

import { freePort, scratchFolder, startServer } from './process.ts';
import type { RunningService } from './service.ts';

/** Config of an S3 replica, in the words of YAML. */
export interface S3ServiceConfig {
  readonly [key: string]: unknown;
  readonly type: 's3';
  readonly bucket: string;
  readonly endpoint: string;
  readonly region: string;
  readonly 'access-key-id': string;
  readonly 'secret-access-key': string;
  readonly 'force-path-style': true;
}

export function s3Config(endpoint: string, bucket: string): S3ServiceConfig {
  return {
    type: 's3',
    bucket,
    endpoint,
    region: 'us-east-1',
    'access-key-id': 'litestreamtest',
    'secret-access-key': 'litestreamtestsecret',
    'force-path-style': true,
  };
}

export async function createBucket(config: S3ServiceConfig): Promise<void> {
  const client = new S3Client({
    endpoint: config.endpoint,
    region: config.region,
    forcePathStyle: true,
    credentials: { accessKeyId: config['access-key-id'], secretAccessKey: config['secret-access-key'] },
  });
  try {
    await client.send(new CreateBucketCommand({ Bucket: config.bucket }));
  } finally {
    client.destroy();
  }
}

/** How to start a server that keeps its buckets in a folder. */
export interface FolderServer {
  readonly name: string;
  readonly program: string;
  readonly args: (port: number, folder: string, config: S3ServiceConfig) => readonly string[];
  readonly env: (config: S3ServiceConfig) => Readonly<Record<string, string>>;
  /** Makes what must be there before it starts. */
  readonly prepare?: (folder: string, config: S3ServiceConfig) => Promise<void>;
  /** Is a folder in its folder a bucket? Else the bucket is made by request. */
  readonly bucketIsFolder?: boolean;
}

/** Starts a server over a folder of its own; it is gone with the server. */
export async function startOverFolder(
  server: FolderServer,
  rest: Partial<RunningService> = {},
): Promise<RunningService> {
  const port = await freePort();
  const folder = await scratchFolder(server.name);
  const config = s3Config(`http://127.0.0.1:${port}`, 'litestream');
  await server.prepare?.(folder.path, config);
  const process = await startServer(server.program, server.args(port, folder.path, config), {
    port,
    env: server.env(config),
  });
  if (server.bucketIsFolder !== true) await createBucket(config);
  return {
    config,
    broken: {
      wrongCredentials: { config: { 'secret-access-key': 'notthisonenotthisone' } },
      ...brokenPlaces,
    },
    stop: async () => {
      await process.stop();
      await folder.remove();
    },
    ...rest,
  };
}

/** Configs of a bucket that is not there and of a server that is not. */
export const brokenPlaces = {
  missingBucket: { config: { bucket: 'nowhere' } },
  unreachable: { config: { endpoint: 'http://127.0.0.1:1' } },
} as const;
