/** What the S3 servers have in common. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

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
