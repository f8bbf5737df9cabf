/** One store for each backend: a backend that does not answer delays only its own replicas. */
import type { Logger, StoredReplica, Store } from '@litestream/core';
import { parseReplicaUrl } from '@litestream/core';
import type { Config, ReplicaConfig } from '../../config/types.ts';
import { openStore } from './compaction-store.ts';

export class BackendStores {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #stores = new Map<string, Store>();
  #closed = false;

  constructor(config: Config, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
  }

  /** Maintains this replica from now on. */
  add(replica: ReplicaConfig, stored: StoredReplica): void {
    if (this.#closed) return;
    const backend = backendOf(replica);
    let store = this.#stores.get(backend);
    if (store === undefined) this.#stores.set(backend, (store = openStore(this.#config, this.#logger)));
    store.add(stored);
  }

  /** Stops maintaining the replica. Aborts running work on it, and waits until that has ended. */
  async remove(replica: ReplicaConfig, stored: StoredReplica): Promise<void> {
    await this.#stores.get(backendOf(replica))?.remove(stored);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#stores.values()].map((store) => store.close()));
  }
}

const PLACES = ['bucket', 'endpoint', 'host', 'webdav-url', 'account-name', 'region'];

/** Identifies the backend, whose replicas fail together: type, and host or bucket. */
export function backendOf({ type, url, settings }: ReplicaConfig): string {
  // Folders may be on different disks, but none delays the others for long.
  if (type === 'file') return type;
  const host = url === undefined ? undefined : parseReplicaUrl(url).host;
  return JSON.stringify([type, host, ...PLACES.map((key) => settings[key])]);
}
