import { resolve } from 'node:path';

import { ConfigReader, definePlugin } from '@litestream/core';
import type { LitestreamPlugin } from '@litestream/core';

import { SqliteClient } from './sqlite-client.ts';

export interface SqliteConfig {
  readonly file: string;
  readonly path: string;
}

/** `type: sqlite` with `file` and `path`, and `sqlite://host/path?file=…`. */
export function sqlite(): LitestreamPlugin<SqliteConfig> {
  return definePlugin({
    name: 'litestream-client-sqlite',
    apiVersion: 1,
    schemes: ['sqlite'],
    types: ['sqlite'],
    configSchema: {
      parse: (value) => {
        const config = new ConfigReader(value, 'sqlite');
        return { file: config.required('file'), path: config.string('path') ?? '' };
      },
    },
    create: (config, context) => new SqliteClient(resolve(context.folder, config.file), config.path),
  });
}

export default sqlite;
