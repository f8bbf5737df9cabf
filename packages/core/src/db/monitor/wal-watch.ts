import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Logger } from '../../util/logger.ts';

/**
 * Reports the first write to a WAL, then disarms itself.
 *
 * A watch that stays armed on the WAL of a busy writer costs that writer a quarter of its speed (one inotify event per
 * write). So it is armed only while the database is quiet, and the caller arms it again after the writes have ended.
 * While there is no WAL, or no database, the folder is watched instead.
 */
export class WalWatch {
  readonly #pathOf: () => string;
  readonly #logger: Logger;
  readonly #onEvent: () => void;
  #watcher: FSWatcher | undefined;
  #warned = false;

  /**
   * `pathOf` returns the database file itself, not a link to it. `onEvent` is called once for each time the watch is
   * armed.
   */
  constructor(pathOf: () => string, logger: Logger, onEvent: () => void) {
    this.#pathOf = pathOf;
    this.#logger = logger;
    this.#onEvent = onEvent;
  }

  get isArmed(): boolean {
    return this.#watcher !== undefined;
  }

  /** Look once more after this call: earlier writes are not reported. */
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

  /** Undefined if there is no such file, or if the system refuses: then only the timer finds changes. */
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
