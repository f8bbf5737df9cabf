/** The watched folders of a daemon, as the current config lists them. */
import { isDeepStrictEqual } from 'node:util';
import { DirectoryWatcher } from './directory-watcher.ts';
import type { DirectoryWatcherOptions } from './directory-watcher.ts';
import type { WatchedDirectory } from '../databases/directory.ts';
import type { DatabaseConfig } from '../config/types.ts';

export class Watchers {
  readonly #options: Omit<DirectoryWatcherOptions, 'directory'>;
  readonly #watchers = new Map<WatchedDirectory, DirectoryWatcher>();

  constructor(options: Omit<DirectoryWatcherOptions, 'directory'>) {
    this.#options = options;
  }

  /** Starts to watch the folders that are not watched yet. */
  start(databases: readonly DatabaseConfig[]): void {
    for (const directory of databases.filter(isWatched)) {
      if ([...this.#watchers.keys()].some((each) => isDeepStrictEqual(each, directory))) continue;
      const watcher = new DirectoryWatcher({ ...this.#options, directory });
      this.#watchers.set(directory, watcher);
      watcher.start();
    }
  }

  /** Stops watching folders that are not listed here with the same settings. Their databases stay as they are. */
  async retain(databases: readonly DatabaseConfig[]): Promise<void> {
    const wanted = databases.filter(isWatched);
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.some((each) => isDeepStrictEqual(each, directory))) continue;
      this.#watchers.delete(directory);
      await watcher.stop();
    }
  }
}

function isWatched(database: DatabaseConfig): database is WatchedDirectory {
  return database.directory?.watch === true;
}
