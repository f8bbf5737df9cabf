import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Logger } from '../../util/logger.ts';

/**
 * Tells of the first write to a WAL, then falls silent.
 *
 * A watch left armed on the log of a busy writer costs that writer a quarter of its speed (one inotify event per write):
 * so it is armed only while nothing happens, and whoever is told arms it again when things have calmed down. While there
 * is no WAL, or no database, the folder is watched instead.
 */
export class WalWatch {
  readonly #pathOf: () => string;
  readonly #logger: Logger;
  readonly #onEvent: () => void;
  #watcher: FSWatcher | undefined;
  #warned = false;

  /** `pathOf` gives the database file, no link to it. `onEvent` is called once for each time the watch is armed. */
  constructor(pathOf: () => string, logger: Logger, onEvent: () => void) {
    this.#pathOf = pathOf;
    this.#logger = logger;
    this.#onEvent = onEvent;
  }

  get isArmed(): boolean {
    return this.#watcher !== undefined;
  }

  /** Whoever arms must look once more afterwards: what was written before is not told. */
  arm(): void {
    if (this.#watcher !== undefined) return;
    const path = this.#pathOf();
    const name = basename(path);
    this.#watcher = this.#watch(`${path}-wal`) ?? this.#watch(dirname(path), [name, `${name}-wal`]) ?? undefined;
  }

  disarm(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Undefined if there is no such file, or if the system refuses: then the timer alone finds changes. */
  #watch(path: string, names?: readonly string[]): FSWatcher | undefined {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        if (names !== undefined && name !== null && !names.includes(name)) return;
        this.#fire(watcher);
      });
      watcher.once('error', (error) => {
        this.#reportFailure(error);
        this.#fire(watcher);
      });
      return watcher;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#reportFailure(error);
      return undefined;
    }
  }

  #fire(watcher: FSWatcher): void {
    if (watcher !== this.#watcher) return;
    this.disarm();
    this.#onEvent();
  }

  #reportFailure(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#logger.warn('cannot watch for changes, looking once per monitor interval instead', { error });
  }
}
