import { ObjectStoreClient } from '@litestream/core/client';
import type { ObjectStore } from '@litestream/core/client';

import { deleteMany } from './delete.ts';
import { download, head } from './download.ts';
import { classifyOssError, ossError } from './errors.ts';
import { list } from './listing.ts';
import type { OssOptions } from './options.ts';
import { OssSession, resolveSettings } from './session.ts';
import { upload } from './upload.ts';

/**
 * A replica in a bucket of Alibaba Cloud OSS: `<path>/<level>/<min>-<max>.ltx`, the level as four hex digits, the commit
 * time in the object's metadata.
 */
export class OssReplicaClient extends ObjectStoreClient {
  /**
   * @param env variables with credentials for options that are not set
   * @throws `CONFIG_INVALID` or `UNAUTHORIZED` for options that cannot work
   */
  constructor(options: OssOptions, env: Readonly<Record<string, string | undefined>> = process.env) {
    const settings = resolveSettings(options, env);
    super({
      type: 'oss',
      capabilities: {
        timestamps: 'metadata',
        // The service ignores the condition in a bucket with versioning.
        conditionalCreate: 'probe',
        batchDelete: true,
        seekListing: true,
      },
      keys: { folder: settings.prefix, levelDigits: 4 },
      headsMax: settings.metadataConcurrency,
      connect: async () => storeOf(await OssSession.open(settings)),
      classify: classifyOssError,
      toError: (error, { request, object }) =>
        request === 'connect' ? error : ossError(error, object, settings.secrets),
    });
  }
}

function storeOf(session: OssSession): ObjectStore {
  return {
    list: (query) => list(session, query),
    get: (key, range) => download(session, key, range),
    head: (key, options) => head(session, key, options),
    put: (key, content, options) => upload(session, key, content, options),
    delete: (key, options) => deleteMany(session, [key], options),
    deleteMany: (keys, options) => deleteMany(session, keys, options),
    close: () => session.close(),
  };
}
