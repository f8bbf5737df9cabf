import { resolve } from 'node:path';
import { ConfigReader, definePlugin } from '@litestream/core/client';
import type { LitestreamPlugin } from '@litestream/core/client';
import { AcmeStoreClient } from './client.ts';

/** The settings below `type: acme-store`. */
export interface AcmeStoreConfig {
  /** Folder of all replicas. Your service may need an endpoint and a key instead: never put them into error messages. */
  readonly folder: string;
  /** Name of this replica in the folder. */
  readonly path: string;
}

/** `type: acme-store` with `folder` and `path`, or `acme-store://folder/path`. */
export function acmeStore(): LitestreamPlugin<AcmeStoreConfig> {
  return definePlugin({
    name: 'litestream-client-acme-store',
    apiVersion: 1,
    schemes: ['acme-store'],
    types: ['acme-store'],
    configSchema: {
      parse: (value) => {
        const config = new ConfigReader(value, 'acme-store');
        return { folder: config.required('folder'), path: config.string('path') ?? '' };
      },
    },
    configFromUrl: ({ host, path }) => ({ folder: host, path }),
    create: (config, context) => new AcmeStoreClient(resolve(context.folder, config.folder), config.path),
  });
}
