import { posix } from 'node:path';

import { type Logger, ObjectStoreClient, keyBelow, loadSdk, silentLogger } from '@litestream/core/client';
import type { ObjectOperations, ObjectStore } from '@litestream/core/client';

import { connect } from './connection/connection.ts';
import { classifyS3Error, s3Error } from './connection/errors.ts';
import type { S3Options } from './connection/options.ts';
import { secretsOf } from './connection/session.ts';
import { type S3Settings, resolveSettings } from './connection/settings.ts';
import { S3Store } from './store.ts';

/** A replica in a bucket of Amazon S3 or of a compatible server. */
export class S3ReplicaClient extends ObjectStoreClient {
  declare readonly objects: ObjectOperations;

  /**
   * @param env variables with credentials and the endpoint, for options that are not set
   * @param logger receives the lines that `LITESTREAM_S3_DEBUG` in `env` asks for
   * @throws `CONFIG_INVALID` for options that cannot work
   */
  constructor(
    options: S3Options,
    env: Readonly<Record<string, string | undefined>> = process.env,
    logger: Logger = silentLogger,
  ) {
    const settings = resolveSettings(options, env);
    const { bucket, path, partSize, metadataConcurrency } = settings;
    super({
      type: 's3',
      capabilities: {
        objects: true,
        conditions: true,
        // Compatible servers differ: some refuse the condition, some ignore it.
        conditionalCreate: 'probe',
        timestamps: 'metadata',
        timestampResolutionMs: 1,
        batchDelete: true,
        seekListing: true,
      },
      // Keys of LTX files begin with a slash if the path is empty.
      keys: { folder: `${path}/`, levelDigits: 4, objectKey: (key) => objectKey(path, key) },
      listsAllLevels: true,
      relistsAfterDelete: true,
      wholeSizeMax: partSize - 1,
      headsMax: metadataConcurrency,
      connect: () => openStore(settings, logger),
      classify: classifyS3Error,
      toError: (error, { object = bucket }) => s3Error(error, object, secretsOf(settings)),
    });
  }
}

/** The files of v0.3 are under the cleaned path, where that version stored them. */
function objectKey(path: string, key: string): string {
  return key.startsWith('generations/') ? posix.join(path, key) : keyBelow(path, key);
}

async function openStore(settings: S3Settings, logger: Logger): Promise<ObjectStore> {
  const sdk = await loadSdk('@aws-sdk/client-s3', () => import('@aws-sdk/client-s3'));
  return new S3Store({ sdk, client: await connect(sdk, settings, logger), settings });
}
