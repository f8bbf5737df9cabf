/**
 * Maps each `type:` and URL scheme to its plugin, and creates clients from replica configs. Keeps plugins in a tsyringe
 * container, which is private to core, with one token per name.
 */
// tsyringe throws on import without it.
import 'reflect-metadata';
import { resolve } from 'node:path';
import { container } from 'tsyringe';
import type { DependencyContainer } from 'tsyringe';
import type { ReplicaClient } from '../storage/contract/contract.ts';
import { guardClient } from '../storage/guard/guard-client.ts';
import type { GuardOptions } from '../storage/guard/guard-options.ts';
import { redactError } from '../storage/errors/redact-error.ts';
import { environmentSecrets, redact, secretsOf, urlSecrets } from '../storage/errors/redact.ts';
import { isLitestreamError, LitestreamError } from '../util/error.ts';
import { silentLogger } from '../util/logger.ts';
import { checkPlugin, invalid } from './check-plugin.ts';
import { file } from './file-plugin.ts';
import { findPackage, findPath, isPath } from './find-package.ts';
import { installedPackages } from './installed-packages.ts';
import { configIssues } from './config-issues.ts';
import { missingBackend, missingPlugin, PACKAGES } from './missing-plugin.ts';
import type { SearchedFolders } from './missing-plugin.ts';
import { packageFolders } from './package-folders.ts';
import type { LitestreamPlugin, PluginContext } from './plugin.ts';
import { parseReplicaUrl } from './replica-url.ts';
import type { ReplicaUrl } from './replica-url.ts';

/** A plugin that is registered or installed, or the reason why it cannot be used. */
export interface PluginListing {
  /** The package. */
  readonly name: string;
  readonly version?: string | undefined;
  /** URL of its entry; undefined for a plugin that the program registered. */
  readonly url?: string | undefined;
  readonly types: readonly string[];
  readonly schemes: readonly string[];
  readonly error?: LitestreamError | undefined;
}

/** A replica as a config or a program names it: by URL, by type and settings, or by both. */
export interface ReplicaSpec {
  readonly url?: string | undefined;
  /** Default: the scheme of the URL, or `file`. */
  readonly type?: string | undefined;
  /** Keys of the backend; they take precedence over the URL. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
}

export interface RegistryOptions {
  /** Plugins to begin with, beside `file`. */
  readonly plugins?: readonly LitestreamPlugin[] | undefined;
  /**
   * The folder of the config file. Packages are searched beside core first, and then here and above, except in folders
   * that another user can change. Relative paths start here. Default: none, and relative paths start from the working
   * directory, which is never searched for packages.
   */
  readonly folder?: string | undefined;
  /** Search for packages that were not registered. Default true. */
  readonly discover?: boolean | undefined;
}

export class PluginRegistry {
  readonly #container: DependencyContainer = container.createChildContainer();
  readonly #folder: string;
  readonly #configFolder: string | undefined;
  readonly #discover: boolean;
  readonly #listings = new Map<string, PluginListing>();

  constructor(options: RegistryOptions = {}) {
    this.#folder = options.folder ?? process.cwd();
    this.#configFolder = options.folder;
    this.#discover = options.discover ?? true;
    for (const plugin of [file(), ...(options.plugins ?? [])]) this.register(plugin);
  }

  /**
   * Adds a plugin. Throws `PLUGIN_CONFLICT` if another plugin has one of its names; adding the same plugin again has no
   * effect.
   */
  register(exported: unknown, source: string = 'the given plugin'): LitestreamPlugin {
    return this.#add(exported, source, {});
  }

  /** Every plugin registered so far, `file` first, then others that are installed in the searched folders. */
  async list(): Promise<readonly PluginListing[]> {
    const listings = new Map(this.#listings);
    for (const name of installedPackages(this.#searched().trusted)) {
      if (listings.has(name)) continue;
      try {
        await this.load(name);
      } catch (error) {
        if (!isLitestreamError(error)) throw error;
        listings.set(name, { name, types: [], schemes: [], error });
      }
      for (const [loaded, listing] of this.#listings) listings.set(loaded, listing);
    }
    return [...listings.values()];
  }

  #add(exported: unknown, source: string, found: { url?: string; version?: string | undefined }): LitestreamPlugin {
    const plugin = checkPlugin(exported, source);
    for (const token of tokensOf(plugin)) {
      const other = this.#get(token);
      if (other === undefined || other.name === plugin.name) continue;
      throw new LitestreamError(
        `plugins ${other.name} and ${plugin.name} both claim ${token.slice('plugin:'.length)}`,
        {
          code: 'PLUGIN_CONFLICT',
          object: plugin.name,
          hint: 'Remove one of them from the plugins list, or from node_modules.',
        },
      );
    }
    for (const token of tokensOf(plugin)) this.#container.register(token, { useValue: plugin });
    const { name, types, schemes } = plugin;
    this.#listings.set(name, { name, types, schemes, url: found.url, version: found.version });
    return plugin;
  }

  /** Imports and adds the plugin of an npm package, or of a path that starts with `.` or `/`. */
  async load(name: string): Promise<LitestreamPlugin> {
    const searched = this.#searched();
    const found = isPath(name) ? findPath(resolve(this.#folder, name)) : findPackage(name, searched);
    if (found === undefined) throw missingPlugin(name, this.#folder, searched);
    let module: { readonly default?: unknown; readonly plugin?: unknown };
    try {
      module = (await import(/* webpackIgnore: true */ /* @vite-ignore */ found.url)) as typeof module;
    } catch (cause) {
      if (isLitestreamError(cause)) throw cause;
      throw loadFailure(name, cause);
    }
    return this.#add(exportedPlugin(module), name, found);
  }

  /** The plugin for a type or a scheme, which is found and loaded if necessary. */
  async plugin(name: string): Promise<LitestreamPlugin> {
    const known = this.#get(`plugin:${name}`);
    if (known !== undefined) return known;
    const searched = this.#discover ? this.#searched() : undefined;
    const packageName = PACKAGES.get(name);
    if (packageName === undefined || searched === undefined || findPackage(packageName, searched) === undefined) {
      throw missingBackend(name, this.#names(), searched);
    }
    await this.load(packageName);
    const loaded = this.#get(`plugin:${name}`);
    if (loaded === undefined) throw invalid(packageName, `it does not handle ${name}`);
    return loaded;
  }

  /** The client of a replica, wrapped by core's guard. It connects at its first use. */
  async createClient(
    spec: ReplicaSpec,
    context: Partial<PluginContext> = {},
    guard: GuardOptions = {},
  ): Promise<ReplicaClient> {
    const folder = context.folder ?? this.#folder;
    const url = spec.url === undefined ? undefined : parseReplicaUrl(spec.url, folder);
    const plugin = await this.plugin(url?.scheme ?? spec.type ?? 'file');
    const fromUrl = url === undefined ? {} : (plugin.configFromUrl?.(url) ?? defaultConfig(url));
    const config = { ...fromUrl, ...spec.settings };
    const logger = context.logger ?? guard.logger ?? silentLogger;
    const env = context.env ?? process.env;
    // A password in a URL may have become part of the config, under any name.
    const secrets = [
      ...secretsOf(config),
      ...urlSecrets(spec.url ?? ''),
      ...(url?.password === undefined ? [] : [url.password]),
      ...environmentSecrets(env),
    ];
    const parsed = parseConfig(plugin, config, secrets);
    let client: ReplicaClient;
    try {
      const { databasePath, stagingPath } = context;
      client = await plugin.create(parsed, { logger, env, folder, databasePath, stagingPath });
    } catch (error) {
      if (isLitestreamError(error)) throw redactError(error, secrets);
      const message = redact(error instanceof Error ? error.message : String(error), secrets);
      throw invalid(plugin.name, `it threw while it created a client: ${message}`, new Error(message));
    }
    return guardClient(client, { logger, ...guard, secrets: [...secrets, ...(guard.secrets ?? [])] });
  }

  #searched(): SearchedFolders {
    return { ...packageFolders(this.#configFolder), configFolder: this.#configFolder };
  }

  /** Types and schemes of all registered plugins. */
  #names(): string[] {
    return [...this.#listings.values()].flatMap(({ types, schemes }) => types.concat(schemes));
  }

  #get(token: string): LitestreamPlugin | undefined {
    return this.#container.isRegistered(token) ? this.#container.resolve<LitestreamPlugin>(token) : undefined;
  }
}

/** The checked config. All issues of the schema go into one message, without any value that may be a secret. */
function parseConfig(plugin: LitestreamPlugin, config: unknown, secrets: readonly string[]): unknown {
  try {
    return plugin.configSchema.parse(config);
  } catch (error) {
    if (isLitestreamError(error)) throw redactError(error, secrets);
    const issues = redact(configIssues(error), secrets);
    const type = plugin.types[0] ?? plugin.name;
    throw new LitestreamError(`the config of the ${type} replica: ${issues}`, {
      code: 'CONFIG_INVALID',
      backend: type,
      hint: `Check its keys against the README of ${plugin.name}.`,
      cause: new Error(issues),
    });
  }
}

/** `export default`, or a named `plugin`; a CommonJS module has its own default inside the default. */
function exportedPlugin(module: { readonly default?: unknown; readonly plugin?: unknown }): unknown {
  const exported = module.default ?? module.plugin;
  if (typeof exported !== 'object' || exported === null || 'apiVersion' in exported) return exported;
  return (exported as { default?: unknown; plugin?: unknown }).default ?? module.plugin ?? exported;
}

function tokensOf(plugin: LitestreamPlugin): ReadonlySet<string> {
  return new Set([...plugin.schemes, ...plugin.types].map((name) => `plugin:${name}`));
}

function defaultConfig(url: ReplicaUrl): Record<string, unknown> {
  return { ...Object.fromEntries(url.query), bucket: url.host, path: url.path };
}

/**
 * The package that an import did not find; undefined if a file inside the plugin is missing, which is the plugin's
 * fault.
 */
function missingModule(code: unknown, message: string): string | undefined {
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined;
  const specifier = /Cannot find (?:package|module) '([^']+)'/.exec(message)?.[1];
  if (specifier === undefined || /^[./]|^[a-z]:[\\/]|^file:/i.test(specifier)) return undefined;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The package exists, but one of its imports does not, or it threw. */
function loadFailure(name: string, cause: unknown): LitestreamError {
  const { code, message = '' } = cause as { code?: unknown; message?: string };
  const sdk = missingModule(code, message);
  if (sdk === undefined) return invalid(name, 'it threw while it was loaded', cause);
  return new LitestreamError(`plugin ${name} needs ${sdk}, which is not installed`, {
    code: 'PLUGIN_SDK_MISSING',
    object: name,
    hint: `Run: npm i ${sdk}`,
    cause,
  });
}
