/**
 * Which plugin answers to which `type:` or URL scheme, and the way from a replica's config to its client. Plugins are
 * kept in a tsyringe container, one token a name; nobody outside core sees it.
 */
// tsyringe refuses to load before it.
import 'reflect-metadata';
import { container } from 'tsyringe';
import type { DependencyContainer } from 'tsyringe';
import type { ReplicaClient } from '../client/contract.ts';
import { guardClient } from '../client/guard-client.ts';
import type { GuardOptions } from '../client/guard-options.ts';
import { hasCode, isLitestreamError, LitestreamError } from '../error.ts';
import { silentLogger } from '../logger.ts';
import { checkPlugin, invalid } from './check-plugin.ts';
import { file } from './file-plugin.ts';
import { findPackage, searchFolders } from './find-package.ts';
import type { LitestreamPlugin, PluginContext } from './plugin.ts';
import { parseReplicaUrl } from './replica-url.ts';
import type { ReplicaUrl } from './replica-url.ts';

/** Packages of this project by the names upstream's configs and URLs use. Any other name `x` means `client-x`. */
const PACKAGES: Readonly<Record<string, string>> = {
  gs: '@litestream/client-gcs',
  gcs: '@litestream/client-gcs',
  webdavs: '@litestream/client-webdav',
};

/** A replica as a config or a program names it: by URL, by type and settings, or by both. */
export interface ReplicaSpec {
  readonly url?: string | undefined;
  /** Default: the scheme of the URL, or `file`. */
  readonly type?: string | undefined;
  /** The backend's own keys; they win over what the URL says. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
}

export interface RegistryOptions {
  /** Plugins to begin with, beside `file`. */
  readonly plugins?: readonly LitestreamPlugin[] | undefined;
  /** Folder that packages are looked for from, and that relative paths start from. Default: the working directory. */
  readonly folder?: string | undefined;
  /** Look for packages that were not registered. Default true. */
  readonly discover?: boolean | undefined;
}

export class PluginRegistry {
  readonly #container: DependencyContainer = container.createChildContainer();
  readonly #folder: string;
  readonly #discover: boolean;

  constructor(options: RegistryOptions = {}) {
    this.#folder = options.folder ?? process.cwd();
    this.#discover = options.discover ?? true;
    for (const plugin of [file(), ...(options.plugins ?? [])]) this.register(plugin);
  }

  /** Adds a plugin. Rejects one that claims a name another one has (`PLUGIN_CONFLICT`); the same one again is fine. */
  register(exported: unknown, source: string = 'the given plugin'): LitestreamPlugin {
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
    return plugin;
  }

  /** Imports and adds the plugin of an npm package, or of a path that starts with `.` or `/`. */
  async load(name: string): Promise<LitestreamPlugin> {
    const found = findPackage(name, searchFolders(this.#folder));
    if (found === undefined) throw missing(`plugin ${name} is not installed`, name);
    let module: { readonly default?: unknown };
    try {
      module = (await import(found.url)) as { readonly default?: unknown };
    } catch (cause) {
      if (isLitestreamError(cause)) throw cause;
      throw loadFailure(name, cause);
    }
    return this.register(module.default, name);
  }

  /** The plugin for a type or a scheme, found and loaded if need be. */
  async plugin(name: string): Promise<LitestreamPlugin> {
    const known = this.#get(`plugin:${name}`);
    if (known !== undefined) return known;
    const packageName = PACKAGES[name] ?? `@litestream/client-${name}`;
    const unknown = missing(`no plugin for replicas of type ${name} is installed`, packageName);
    if (!this.#discover || !/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw unknown;
    try {
      await this.load(packageName);
    } catch (error) {
      throw hasCode(error, 'PLUGIN_MISSING') ? unknown : error;
    }
    const loaded = this.#get(`plugin:${name}`);
    if (loaded === undefined) throw invalid(packageName, `it does not answer to ${name}`);
    return loaded;
  }

  /** The client of a replica, within core's guard. It connects when it is first used. */
  async createClient(
    spec: ReplicaSpec,
    context: Partial<PluginContext> = {},
    guard: GuardOptions = {},
  ): Promise<ReplicaClient> {
    const folder = context.folder ?? this.#folder;
    const url = spec.url === undefined ? undefined : parseReplicaUrl(spec.url, folder);
    const plugin = await this.plugin(url?.scheme ?? spec.type ?? 'file');
    const fromUrl = url === undefined ? {} : (plugin.configFromUrl?.(url) ?? defaultConfig(url));
    const config = plugin.configSchema.parse({ ...fromUrl, ...spec.settings });
    const client = await plugin.create(config, {
      logger: context.logger ?? silentLogger,
      env: context.env ?? process.env,
      folder,
      databasePath: context.databasePath,
    });
    return guardClient(client, guard);
  }

  #get(token: string): LitestreamPlugin | undefined {
    return this.#container.isRegistered(token) ? this.#container.resolve<LitestreamPlugin>(token) : undefined;
  }
}

function tokensOf(plugin: LitestreamPlugin): ReadonlySet<string> {
  return new Set([...plugin.schemes, ...plugin.types].map((name) => `plugin:${name}`));
}

function defaultConfig(url: ReplicaUrl): Record<string, unknown> {
  return { ...Object.fromEntries(url.query), bucket: url.host, path: url.path };
}

function missing(message: string, packageName: string): LitestreamError {
  const hint = packageName.startsWith('.') ? `There is no ${packageName}.` : `Run: npm i ${packageName}`;
  return new LitestreamError(message, { code: 'PLUGIN_MISSING', object: packageName, hint });
}

/** The package is there, but something it imports is not; or it threw. */
function loadFailure(name: string, cause: unknown): LitestreamError {
  const { code, message = '' } = cause as { code?: unknown; message?: string };
  const sdk = code === 'ERR_MODULE_NOT_FOUND' ? /Cannot find package '([^']+)'/.exec(message)?.[1] : undefined;
  if (sdk === undefined) return invalid(name, 'it threw while it was loaded', cause);
  return new LitestreamError(`plugin ${name} needs ${sdk}, which is not installed`, {
    code: 'PLUGIN_SDK_MISSING',
    object: name,
    hint: `Run: npm i ${sdk}`,
    cause,
  });
}
