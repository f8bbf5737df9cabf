import { warnUnlessRetained } from '../maintenance/store.ts';
import { PluginRegistry } from '../plugins/registry.ts';
import { composeRoot } from './composition/compose-root.ts';
import type { Container } from './composition/container.ts';
import { backendStores, maintenanceSettings } from './composition/maintenance-settings.ts';
import { parts } from './composition/tokens.ts';
import type { LitestreamOptions } from './litestream-options.ts';

/**
 * Makes the root container of a `Litestream`. Registers core's parts, then those of the options, then those of the composition. Each
 * failure of maintenance calls `onStoreError`.
 */
export function composeLibrary(options: LitestreamOptions, onStoreError: (error: unknown) => void): Container {
  const { plugins, driver, logger, store = {}, composition } = options;
  const root = composeRoot({
    root: (container) => {
      if (logger !== undefined) container.registerValue(parts.logger, logger);
      if (driver !== undefined) container.registerValue(parts.sqliteDriver, driver);
      container.register(parts.pluginRegistry, () => new PluginRegistry({ plugins }));
      if (store !== false) {
        const settings = maintenanceSettings(store);
        const { concurrency } = store;
        container.registerValue(parts.maintenance, settings);
        container.register(parts.stores, () => backendStores(container, { concurrency, onError: onStoreError }));
      }
      composition?.root?.(container);
    },
  });
  // Throws now if a plugin cannot be registered.
  root.resolve(parts.clientFactory);
  const maintenance = root.resolve(parts.maintenance);
  if (maintenance !== undefined) warnUnlessRetained(maintenance.retentionEnabled, root.resolve(parts.logger));
  return root;
}
