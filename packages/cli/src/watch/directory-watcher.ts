/**
 * Watches a folder of databases. New ones are replicated within a second or two; deleted ones are removed.
 *
 * The watcher polls: a look at a folder costs one `stat` while no name in it comes or goes. An inotify watch on the folder
 * would report every write to every file in it, and slow down each writer.
 */
import type { Dirent } from 'node:fs';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger, StopOptions } from '@litestream/core';
import { describeError } from '../util/describe-error.ts';
import { ltxFolder } from '../util/local-state.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { entryOf, isLink } from '../databases/directory.ts';
import type { WatchedDirectory } from '../databases/directory.ts';
import { FolderState } from './folder-state.ts';
import { isMetaFolder, isSqliteDatabase, nameFilter, statsOf } from '../databases/scan.ts';
import { settleBounded } from '../util/task-queue.ts';

const LOOK_INTERVAL_MS = 1000;
/** Folders in one look. If there are more, each look takes a part of them, so that no look takes long. */
const FOLDERS_PER_LOOK = 2500;
const OPENING_MAX = 50;

export interface DirectoryWatcherOptions {
  readonly directory: WatchedDirectory;
  readonly daemon: Daemon;
  readonly logger: Logger;
  /** How a deleted database is stopped. */
  readonly stop: StopOptions;
}

export class DirectoryWatcher {
  readonly #options: DirectoryWatcherOptions;
  readonly #logger: Logger;
  readonly #isWanted: (name: string) => boolean;
  readonly #folders = new Map<string, FolderState>();
  /** Databases, by path, with the folder they are in. */
  readonly #databases = new Map<string, string>();
  /** Files that may become databases, with their inode, size and time when they were not databases. */
  readonly #candidates = new Map<string, string>();
  readonly #complained = new Set<string>();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #idle = true;

  constructor(options: DirectoryWatcherOptions) {
    this.#options = options;
    const { directory } = options.directory;
    this.#logger = options.logger.child({ dir: directory.path });
    this.#isWanted = nameFilter(directory);
    this.#addFolder(directory.path);
    // Databases that were found when the daemon opened, and a database that the config names itself: the watcher must not
    // remove that one.
    for (const { path, origin } of options.daemon.databases) {
      if (origin === 'directory' && path.startsWith(`${directory.path}/`)) this.#databases.set(path, dirname(path));
    }
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Begins no more looks. Resolves when the changes of the last one are applied. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#work;
  }

  /** Looks once, unless the changes of the last look are still being applied. */
  look(): void {
    if (!this.#idle) return;
    const { gone, found } = this.#changes();
    if (gone.length === 0 && found.length === 0) return;
    this.#idle = false;
    this.#work = this.#apply(gone, found).finally(() => (this.#idle = true));
  }

  /** Removes databases before it adds some: a renamed database is in both lists, and must not be open twice. */
  async #apply(gone: readonly string[], found: readonly string[]): Promise<void> {
    await settleBounded(gone, OPENING_MAX, (path) => this.#remove(path));
    await settleBounded(found, OPENING_MAX, (path) => this.#add(path));
  }

  async #add(path: string): Promise<void> {
    const { directory, daemon } = this.#options;
    if (this.#isReplicatedElsewhere(path)) return;
    this.#candidates.delete(path);
    this.#databases.set(path, dirname(path));
    try {
      if (await daemon.add(entryOf(directory, path), 'directory')) {
        this.#logger.info('added database to replication', { path });
      }
    } catch (error) {
      this.#databases.delete(path);
      // The file is tried again once it has changed.
      this.#candidates.set(path, appearanceOf(path) ?? '');
      if (existsSync(path)) this.#logger.error('register database with store', { path, error: describeError(error) });
    }
  }

  async #remove(path: string): Promise<void> {
    const { daemon, stop } = this.#options;
    this.#databases.delete(path);
    const database = daemon.find(path);
    if (database === undefined || database.origin !== 'directory') return;
    // The last sync uploads the local files, unless they are deleted, too.
    const options = existsSync(ltxFolder(database.metaPath)) ? stop : { ...stop, timeoutMs: 0 };
    try {
      await daemon.remove(path, options);
    } catch (error) {
      this.#logger.warn('removed database was not replicated to its end', { path, error: describeError(error) });
    }
    this.#logger.info('removed database from replication', { path });
  }

  /** Compares the folders with the known databases. Reads names, and the first bytes of files that may be new databases. */
  #changes(): { readonly gone: string[]; readonly found: string[] } {
    const gone: string[] = [];
    for (const folder of this.#nextFolders()) {
      const entries = this.#lookAt(folder);
      if (entries === 'unchanged') continue;
      if (entries === 'gone') {
        this.#forgetFolder(folder, gone);
        continue;
      }
      const files = this.#filesOf(folder, entries);
      for (const [path, parent] of this.#databases) if (parent === folder.path && !files.has(path)) gone.push(path);
      for (const path of this.#candidates.keys()) {
        if (dirname(path) === folder.path && !files.has(path)) this.#candidates.delete(path);
      }
      for (const path of files) {
        if (!this.#databases.has(path) && !this.#candidates.has(path)) this.#candidates.set(path, '');
      }
    }
    const found = [...this.#candidates.keys()].filter((path) => this.#isNewDatabase(path));
    // A database that appears together with a link to it is replicated under its own name.
    return { gone, found: [...found.filter((path) => !isLink(path)), ...found.filter(isLink)] };
  }

  /** All folders if they are few, with those that are found during the look; otherwise a part of them. */
  *#nextFolders(): Generator<FolderState> {
    if (this.#folders.size <= FOLDERS_PER_LOOK) {
      yield* this.#folders.values();
      return;
    }
    const all = [...this.#folders.values()];
    const start = this.#turn % all.length;
    this.#turn = start + FOLDERS_PER_LOOK;
    yield* all.slice(start, start + FOLDERS_PER_LOOK);
  }

  #lookAt(folder: FolderState): Dirent[] | 'unchanged' | 'gone' {
    try {
      const entries = folder.look();
      this.#complained.delete(folder.path);
      return entries;
    } catch (error) {
      if (!this.#complained.has(folder.path)) {
        this.#complained.add(folder.path);
        this.#logger.error('directory watcher error', { path: folder.path, error });
      }
      return 'unchanged';
    }
  }

  /** Paths in a folder that match the pattern. With `recursive`, also starts to watch its subfolders. */
  #filesOf(folder: FolderState, entries: readonly Dirent[]): Set<string> {
    const { recursive } = this.#options.directory.directory;
    const files = new Set<string>();
    for (const entry of entries) {
      const path = join(folder.path, entry.name);
      if (!entry.isDirectory()) {
        if (this.#isWanted(entry.name)) files.add(path);
      } else if (recursive && !isMetaFolder(entry.name)) this.#addFolder(path);
    }
    return files;
  }

  #addFolder(path: string): void {
    if (this.#folders.has(path)) return;
    this.#folders.set(path, new FolderState(path));
    this.#logger.debug('watching directory', { path });
  }

  /** If the folder of the config is missing, the watcher waits for it. A folder below it is watched again if it reappears. */
  #forgetFolder(folder: FolderState, gone: string[]): void {
    if (folder.path !== this.#options.directory.directory.path) this.#folders.delete(folder.path);
    for (const [path, parent] of this.#databases) if (parent === folder.path) gone.push(path);
    for (const path of this.#candidates.keys()) if (dirname(path) === folder.path) this.#candidates.delete(path);
  }

  /** Whether it is a link to a database that is replicated under another name. It stays a candidate: the other may be removed. */
  #isReplicatedElsewhere(path: string): boolean {
    const name = isLink(path) ? this.#options.daemon.nameOf(path) : undefined;
    if (name === undefined || name === path) return false;
    this.#candidates.set(path, appearanceOf(path) ?? '');
    if (!this.#complained.has(path)) {
      this.#complained.add(path);
      this.#logger.info('link to a database that is already replicated, skipped', { path, database: name });
    }
    return true;
  }

  /** Reads a file only if it has changed since it was last found not to be a database. */
  #isNewDatabase(path: string): boolean {
    const appearance = appearanceOf(path);
    if (appearance === undefined || appearance === this.#candidates.get(path)) return false;
    if (isSqliteDatabase(path)) return true;
    this.#candidates.set(path, appearance);
    return false;
  }
}

function appearanceOf(path: string): string | undefined {
  const stats = statsOf(path);
  return stats === undefined ? undefined : `${stats.ino} ${stats.size} ${stats.mtimeNs}`;
}
