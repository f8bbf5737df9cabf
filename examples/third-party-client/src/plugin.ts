import { resolve } from 'node:path';
import { ConfigReader, definePlugin } from '@litestream/core';
import type { LitestreamPlugin } from '@litestream/core';
import { SqliteClient } from './sqlite-client.ts';

export interface SqliteConfig {
  /** The database that holds replicas. Made when it is first used. */
  readonly file: string;
  /** Name of one replica in it. */
  readonly path: string;
}

/**
 * `type: sqlite-store` with `file` and `path`; `sqlite-store:///backup/all.db?path=app`, or without the third slash a file that is
 * looked for from the config's folder. (`sqlite://` is taken: Litestream reads it as the path of a database.)
 */
export function sqlite(): LitestreamPlugin<SqliteConfig> {
  return definePlugin({
    name: 'litestream-client-sqlite',
    apiVersion: 1,
    schemes: ['sqlite-store'],
    types: ['sqlite-store'],
    configSchema: {
      parse: (value) => {
        const config = new ConfigReader(value, 'sqlite-store');
        return { file: config.required('file'), path: config.string('path') ?? '' };
      },
    },
    configFromUrl: ({ host, path, query }) => ({ file: `${host}/${path}`, path: query.get('path') }),
    create: (config, context) => new SqliteClient(resolve(context.folder, config.file), config.path),
  });
}
