/** One store for each backend: a backend that does not answer delays only its own replicas. */
import type { Store } from '../../maintenance/store.ts';
import type { StoredReplica } from '../../maintenance/stored-replica.ts';

export class BackendStores {
  readonly #create: () => Store;
  readonly #stores = new Map<string, Store>();
  #closed = false;

  /** `create` is called once for each backend. */
  constructor(create: () => Store) {
    this.#create = create;
  }

  /** Starts to maintain the replica. `backend`: see `backendOf`. */
  add(backend: string, stored: StoredReplica): void {
    if (this.#closed) return;
    let store = this.#stores.get(backend);
    if (store === undefined) this.#stores.set(backend, (store = this.#create()));
    store.add(stored);
  }

  /** Stops maintaining the replica. Aborts running work on it, and waits until that has ended. */
  async remove(backend: string, stored: StoredReplica): Promise<void> {
    await this.#stores.get(backend)?.remove(stored);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#stores.values()].map((store) => store.close()));
  }
}
