/** The target of a command such as `restore` or `ltx`: a replica URL, or a database of the config. */
import type { ReplicaClient } from '@litestream/core';
import { LitestreamError } from '@litestream/core';
import { urlWarning } from '../../config/file-url.ts';
import { isReplicaUrl } from '../../config/paths.ts';
import type { Config } from '../../config/types.ts';
import { openRegistry, openReplicas, replicaFromUrl } from '../../databases/replicas.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { findDatabase, readConfig, refuseConfigWithUrl } from './config-flags.ts';
import type { ConfigFlagValues } from './config-flags.ts';

export interface Target extends AsyncDisposable {
  readonly client: ReplicaClient;
  /** The database of the config; undefined for a URL. */
  readonly databasePath: string | undefined;
  /** Name for messages, without credentials. */
  readonly text: string;
}

/** Opens the replica of a URL, or the first replica of a database. */
export async function openTarget(target: string, values: ConfigFlagValues, terminal: Terminal): Promise<Target> {
  refuseConfigWithUrl(values, target);
  let config: Pick<Config, 'plugins' | 'path'>;
  let databasePath: string | undefined;
  let replicas;
  if (isReplicaUrl(target)) {
    config = { plugins: values.plugin, path: undefined };
    replicas = [replicaFromUrl(target)];
    const warning = urlWarning(target);
    if (warning !== undefined) terminal.err(`Warning: ${warning}`);
  } else {
    const loaded = await readConfig(values, terminal, undefined, 'give a replica URL instead of a database');
    const database = findDatabase(loaded, target);
    config = loaded;
    databasePath = database.path;
    replicas = database.replicas.slice(0, 1);
  }
  const opened = await openReplicas(replicas, await openRegistry(config), databasePath);
  const [first] = opened.all;
  if (first === undefined) throw new LitestreamError('database has no replica', { code: 'CONFIG_INVALID' });
  return {
    client: first.client,
    databasePath,
    text: first.text,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
