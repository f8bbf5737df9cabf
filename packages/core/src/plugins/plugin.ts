/**
 * What an npm package has to export to bring a backend: a plain object, nothing to inherit, nothing to decorate. The
 * package needs neither the container core keeps its plugins in nor, at run time, core itself.
 */
import type { ReplicaClient } from '../storage/contract/contract.ts';
import type { Logger } from '../util/logger.ts';
import type { ReplicaUrl } from './replica-url.ts';

/** Version of this interface. A plugin that names another one is refused with `PLUGIN_INCOMPATIBLE`. */
export const PLUGIN_API_VERSION = 1;

/** Anything that checks a config and returns it typed: a zod schema, or an object with a `parse` that throws. */
export interface ConfigSchema<Config> {
  parse(value: unknown): Config;
}

/** What core hands to a plugin beside the config. */
export interface PluginContext {
  readonly logger: Logger;
  /** Environment variables, for credentials the ecosystem's way. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths in the config start from. */
  readonly folder: string;
  /** The database that is replicated, where known: files made for it take its mode and owner. Never to be opened. */
  readonly databasePath?: string | undefined;
  /** Folder for files of any size until they are sent to the replica. Undefined: the system's temporary folder. */
  readonly stagingPath?: string | undefined;
}

export interface LitestreamPlugin<Config = unknown> {
  /** The npm package, for messages: `@litestream/client-gcs`. */
  readonly name: string;
  readonly apiVersion: 1;
  /** URL schemes it answers to, without `://`: `['gs']`. */
  readonly schemes: readonly string[];
  /** Values of `type:` in a config it answers to: `['gs', 'gcs']`. */
  readonly types: readonly string[];
  readonly configSchema: ConfigSchema<Config>;
  /**
   * Config for a URL of one of its schemes, not checked yet. Default: the host as `bucket`, the path as `path`, each
   * query parameter under its own name. Keys of a config that stands beside the URL win over these.
   */
  configFromUrl?(url: ReplicaUrl): Record<string, unknown>;
  /** Makes a client. Loads no SDK and opens no connection: `init` does. */
  create(config: Config, context: PluginContext): ReplicaClient | Promise<ReplicaClient>;
}

/** Gives a plugin its types; returns it unchanged. */
export function definePlugin<Config>(plugin: LitestreamPlugin<Config>): LitestreamPlugin<Config> {
  return plugin;
}
