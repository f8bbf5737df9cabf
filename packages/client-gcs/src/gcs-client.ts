import { ObjectStoreClient, keyBelow, ltxFolder } from '@litestream/core/client';
import type { ObjectOperations } from '@litestream/core/client';

import type { GcsOptions } from './options.ts';
import { openBucket, resolveSettings } from './session.ts';
import { GcsStore } from './store.ts';
import { classifyGcsError, gcsError } from './transfer/errors.ts';

/** A replica in a bucket of Google Cloud Storage. */
export class GcsReplicaClient extends ObjectStoreClient {
  declare readonly objects: ObjectOperations;

  /** @param env source of `STORAGE_EMULATOR_HOST`; the SDK finds credentials itself */
  constructor(options: GcsOptions, env: Readonly<Record<string, string | undefined>> = process.env) {
    const settings = resolveSettings(options, env);
    const { bucket, path, partSize, concurrency } = settings;
    super({
      type: 'gs',
      capabilities: {
        objects: true,
        conditions: true,
        conditionalCreate: true,
        timestamps: 'listing',
        timestampResolutionMs: 1,
        seekListing: true,
      },
      keys: { folder: ltxFolder(path), objectKey: (key) => keyBelow(path, key) },
      listsAllLevels: true,
      wholeSizeMax: partSize,
      deletesMax: concurrency,
      connect: async () => new GcsStore(await openBucket(settings), settings),
      classify: classifyGcsError,
      toError: (error, call) => gcsError(error, { ...call, object: call.object ?? bucket }),
    });
  }
}
