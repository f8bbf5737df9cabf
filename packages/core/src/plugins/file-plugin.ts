/** The built-in plugin: replicas in a folder on this machine. */
import { resolve } from 'node:path';
import { FileClient } from '../storage/file/file-client.ts';
import { ConfigReader } from './config-reader.ts';
import { definePlugin } from './plugin.ts';
import type { LitestreamPlugin } from './plugin.ts';

export interface FileConfig {
  readonly path: string;
}

export function file(): LitestreamPlugin<FileConfig> {
  return definePlugin({
    name: '@litestream/core',
    apiVersion: 1,
    schemes: ['file'],
    types: ['file'],
    configSchema: { parse: (config): FileConfig => ({ path: new ConfigReader(config, 'file').required('path') }) },
    configFromUrl: (url) => ({ path: url.path }),
    create: ({ path }, { folder, databasePath }) => new FileClient({ path: resolve(folder, path), databasePath }),
  });
}
