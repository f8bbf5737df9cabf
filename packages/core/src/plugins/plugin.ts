/**
 * What an npm package must export to provide a backend: a plain object, without base classes or decorators. At run
 * time, the package needs neither core nor its container of plugins.
 */
import type { ReplicaClient } from '../storage/contract/contract.ts';
import type { Logger } from '../util/logger.ts';
import type { ReplicaUrl } from './replica-url.ts';

/** Version of this interface. A plugin that names another one is refused with `PLUGIN_INCOMPATIBLE`. */
export const PLUGIN_API_VERSION = 1;

/** Checks a config and returns it typed: a zod schema, or an object with a `parse` that throws. */
export interface ConfigSchema<Config> {
  parse(value: unknown): Config;
}

/** What core passes to a plugin beside the config. */
export interface PluginContext {
  readonly logger: Logger;
  /** Environment variables, for credentials that the ecosystem takes from them. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths in the config start from. */
  readonly folder: string;
  /** The replicated database, if known: files made for it get its mode and owner. The plugin must not open it. */
  readonly databasePath?: string | undefined;
  /** Folder for files of any size until they are uploaded to the replica. Undefined: the system's temporary folder. */
  readonly stagingPath?: string | undefined;
}

export interface LitestreamPlugin<Config = unknown> {
  /** The npm package, for messages: `@litestream/client-gcs`. */
  readonly name: string;
  readonly apiVersion: 1;
  /** URL schemes that it handles, without `://`: `['gs']`. */
  readonly schemes: readonly string[];
  /** Values of `type:` in a config that it handles: `['gs', 'gcs']`. */
  readonly types: readonly string[];
  readonly configSchema: ConfigSchema<Config>;
  /**
   * Config for a URL of one of its schemes, not checked yet. Default: the host as `bucket`, the path as `path`, each
   * query parameter under its own name. Keys of a config beside the URL take precedence over these.
   */
  configFromUrl?(url: ReplicaUrl): Record<string, unknown>;
  /** Makes a client. Loads no SDK and opens no connection: `init` does. */
  create(config: Config, context: PluginContext): ReplicaClient | Promise<ReplicaClient>;
}

/** Gives a plugin its types; returns it unchanged. */
export function definePlugin<Config>(plugin: LitestreamPlugin<Config>): LitestreamPlugin<Config> {
  return plugin;
}
