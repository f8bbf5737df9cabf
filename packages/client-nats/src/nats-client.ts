import { ObjectStoreClient, silentLogger } from '@litestream/core/client';
import type { Logger, StoreCall } from '@litestream/core/client';

import { classifyNatsError, natsError } from './errors.ts';
import { NatsObjects } from './object-store.ts';
import type { NatsOptions } from './options.ts';
import { openStore } from './store.ts';

/** What each operation does, for errors. */
const DOING: Readonly<Partial<Record<StoreCall['operation'], string>>> = {
  init: 'connect to NATS',
  ltxFiles: 'list a level',
  allLtxFiles: 'list all levels',
  openLtxFile: 'read an object',
  writeLtxFile: 'write an object',
  deleteLtxFiles: 'delete objects',
  deleteAll: 'delete the replica',
};

/**
 * A replica in a NATS JetStream object store: objects `ltx/<level>/<min>-<max>.ltx`, the commit time in the header
 * `Litestream-Timestamp`. A bucket holds one replica: there is no path.
 */
export class NatsReplicaClient extends ObjectStoreClient {
  /** @param logger receives the warning about an unencrypted connection. Default: none. */
  constructor(options: NatsOptions, logger: Logger = silentLogger) {
    super({
      type: 'nats',
      // A read cannot start in the middle: chunks may have any size, and no index tells which one holds a byte.
      capabilities: { timestamps: 'listing', conditionalCreate: true, ranges: false },
      keys: { folder: 'ltx/' },
      listsAllLevels: true,
      connect: async () => new NatsObjects(await openStore(options, logger)),
      classify: classifyNatsError,
      toError: (error, { operation, object }) => natsError(error, DOING[operation] ?? operation, object),
    });
  }
}
