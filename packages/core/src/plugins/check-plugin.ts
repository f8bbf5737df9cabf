/** Checks that an export is a usable plugin. */
import { LitestreamError } from '../util/error.ts';
import { PLUGIN_API_VERSION } from './plugin.ts';
import type { LitestreamPlugin } from './plugin.ts';

/**
 * Checks a plugin, or a function that creates one without arguments, and returns the plugin.
 *
 * @throws LitestreamError `PLUGIN_INCOMPATIBLE` for another `apiVersion`, `PLUGIN_INVALID` for anything else, with
 *   `source` (a package name or a path) in the message.
 */
export function checkPlugin(exported: unknown, source: string): LitestreamPlugin {
  const plugin: unknown = typeof exported === 'function' ? make(exported as () => unknown, source) : exported;
  if (typeof plugin !== 'object' || plugin === null) throw invalid(source, 'it exports no plugin as its default');
  const { name, apiVersion, schemes, types, configSchema, create } = plugin as Partial<LitestreamPlugin>;
  if (typeof name !== 'string' || name === '') throw invalid(source, 'its plugin has no name');
  if (apiVersion !== PLUGIN_API_VERSION) {
    throw new LitestreamError(`plugin ${name} is built for version ${String(apiVersion)} of the plugin interface`, {
      code: 'PLUGIN_INCOMPATIBLE',
      object: source,
      hint: `This version of @litestream/core takes version ${PLUGIN_API_VERSION}: install a release of ${name} that fits it.`,
    });
  }
  if (!isNames(schemes) || !isNames(types)) throw invalid(source, 'schemes and types must be lists of names');
  if (typeof configSchema?.parse !== 'function') throw invalid(source, 'its configSchema has no parse function');
  if (typeof create !== 'function') throw invalid(source, 'it has no create function');
  return plugin as LitestreamPlugin;
}

function make(factory: () => unknown, source: string): unknown {
  try {
    return factory();
  } catch (cause) {
    throw invalid(source, 'it threw while it was created', cause);
  }
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');
}

export function invalid(source: string, why: string, cause?: unknown): LitestreamError {
  return new LitestreamError(`${source} is not a usable Litestream plugin: ${why}`, {
    code: 'PLUGIN_INVALID',
    object: source,
    hint: 'Report this to its author. docs/guides/write-a-client.md describes what a plugin exports.',
    cause,
  });
}
