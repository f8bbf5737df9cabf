import { ObjectStoreClient } from '@litestream/core/client';
import { Store } from './store.ts';

/** The files of one replica. `ObjectStoreClient` does what all clients share; this class says what your service supports. */
export class AcmeStoreClient extends ObjectStoreClient {
  constructor(folder: string, path: string) {
    super({
      type: 'acme-store',
      /** See "Capabilities" in the contract: declare what your service supports, and leave out the rest. */
      capabilities: { timestamps: 'listing', conditionalCreate: true },
      /** Keys of the LTX files: `ltx/<level>/<name>`. */
      keys: { folder: 'ltx/' },
      /** Load the SDK here: `const { Sdk } = await loadSdk('your-sdk', () => import('your-sdk'))`. Creates no objects. */
      connect: async () => new Store(folder, path),
    });
  }
}
