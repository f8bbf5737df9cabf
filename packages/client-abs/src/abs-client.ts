import { ObjectStoreClient, keyBelow, ltxFolder } from '@litestream/core/client';
import type { ObjectOperations } from '@litestream/core/client';

import { absError, classifyAbsError } from './errors.ts';
import type { AbsOptions } from './options.ts';
import { connect } from './session.ts';
import { resolveSettings, secretsOf } from './settings.ts';
import { AbsStore } from './store.ts';

/** A replica in a container of Azure Blob Storage. */
export class AbsReplicaClient extends ObjectStoreClient {
  declare readonly objects: ObjectOperations;

  /**
   * @param env variables with credentials for options that are not set
   * @throws `CONFIG_INVALID` for options that cannot work
   */
  constructor(options: AbsOptions, env: Readonly<Record<string, string | undefined>> = process.env) {
    const settings = resolveSettings(options, env);
    const { bucket, path, partSize, concurrency } = settings;
    super({
      type: 'abs',
      capabilities: {
        objects: true,
        conditions: true,
        conditionalCreate: true,
        timestamps: 'listing',
        timestampResolutionMs: 1,
      },
      keys: { folder: ltxFolder(path), objectKey: (key) => keyBelow(path, key) },
      listsAllLevels: true,
      wholeSizeMax: partSize,
      deletesMax: concurrency * 4,
      connect: async () => new AbsStore(await connect(settings), settings),
      classify: classifyAbsError,
      toError: (error, { object = bucket }) => absError(error, object, secretsOf(settings)),
    });
  }
}
