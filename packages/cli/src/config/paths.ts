import { homedir } from 'node:os';
import { resolve } from 'node:path';

/** Path of the config without `-config`: `LITESTREAM_CONFIG`, else `/etc/litestream.yml`. */
export function defaultConfigPath(): string {
  const path = process.env['LITESTREAM_CONFIG'];
  if (path !== undefined && path !== '') return path;
  if (process.platform === 'win32') return 'C:\\Litestream\\litestream.yml';
  return '/etc/litestream.yml';
}

/** Absolute path; a leading `~/` is the home folder, a leading `sqlite://` or `sqlite3://` is dropped. */
export function expandPath(path: string): string {
  const bare = path.replace(/^sqlite3?:\/\//, '');
  if (bare === '~') return homedir();
  return bare.startsWith('~/') ? resolve(homedir(), bare.slice(2)) : resolve(bare);
}

/** True for `scheme://…`, which is a replica URL and not the path of a database. */
export function isReplicaUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) && !/^sqlite3?:\/\//.test(text);
}
