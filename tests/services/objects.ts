/** What lies on a server, seen past our clients: names of objects and all that is stored beside their bytes. */
import { HeadObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';

import type { RunningService } from './service.ts';

/** Facts of an object by their names; what differs from write to write (dates, ETags) is left out. */
export type ObjectFacts = Readonly<Record<string, string>>;

/** Objects under a path, by name; `undefined` for backends nobody has taught this yet. */
export async function storedObjects(
  running: RunningService,
  path: string,
): Promise<Map<string, ObjectFacts> | undefined> {
  if (running.stored !== undefined) return running.stored(path);
  switch (running.config.type) {
    case 's3':
      return s3Objects(running, path);
    case 'gs':
      return gcsObjects(running, path);
    case 'abs':
      return absObjects(running, path);
    default:
      return undefined;
  }
}

async function s3Objects({ config }: RunningService, path: string): Promise<Map<string, ObjectFacts>> {
  const client = new S3Client({
    endpoint: String(config['endpoint']),
    region: String(config['region']),
    forcePathStyle: true,
    credentials: {
      accessKeyId: String(config['access-key-id']),
      secretAccessKey: String(config['secret-access-key']),
    },
  });
  const Bucket = String(config['bucket']);
  const found = new Map<string, ObjectFacts>();
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: `${path}/` }));
  for (const { Key = '' } of Contents) {
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    found.set(Key, factsOf({ contentType: head.ContentType }, head.Metadata));
  }
  client.destroy();
  return found;
}

async function gcsObjects({ config, env }: RunningService, path: string): Promise<Map<string, ObjectFacts>> {
  const url = `http://${env?.['STORAGE_EMULATOR_HOST']}/storage/v1/b/${String(config['bucket'])}/o?prefix=${path}/`;
  const { items = [] } = (await (await fetch(url)).json()) as {
    items?: { name: string; contentType?: string; metadata?: Record<string, string> }[];
  };
  return new Map(items.map((item) => [item.name, factsOf({ contentType: item.contentType }, item.metadata)]));
}

async function absObjects({ config }: RunningService, path: string): Promise<Map<string, ObjectFacts>> {
  const credential = new StorageSharedKeyCredential(String(config['account-name']), String(config['account-key']));
  const container = new BlobServiceClient(String(config['endpoint']), credential).getContainerClient(
    String(config['bucket']),
  );
  const found = new Map<string, ObjectFacts>();
  for await (const { name, properties, metadata } of container.listBlobsFlat({
    prefix: `${path}/`,
    includeMetadata: true,
  })) {
    const { contentType, blobType, accessTier } = properties;
    found.set(name, factsOf({ contentType, blobType, accessTier }, metadata));
  }
  return found;
}

function factsOf(facts: Record<string, string | undefined>, metadata: Record<string, string> = {}): ObjectFacts {
  const entries = Object.entries(metadata).map(([name, value]) => [`metadata ${name}`, value] as const);
  return Object.fromEntries([
    ...Object.entries(facts).map(([name, value]) => [name, value ?? ''] as const),
    ...entries,
  ]);
}
