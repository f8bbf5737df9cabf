/**
 * Watches a folder of databases. New ones are replicated within a second or two; deleted ones are removed.
 *
 * A look at a folder costs one `stat` while no name in it comes or goes, so nothing is subscribed to: an inotify watch on
 * the folder would report every write to every file in it, and cost each writer for it.
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
/** Folders looked at in one go: more of them take turns, so that no look takes long. */
const FOLDERS_PER_LOOK = 2500;
const OPENING_MAX = 50;

export interface DirectoryWatcherOptions {
  readonly directory: WatchedDirectory;
  readonly daemon: Daemon;
  readonly logger: Logger;
  /** How a database that is gone is stopped. */
  readonly stop: StopOptions;
}

export class DirectoryWatcher {
  readonly #options: DirectoryWatcherOptions;
  readonly #logger: Logger;
  readonly #isWanted: (name: string) => boolean;
  readonly #folders = new Map<string, FolderState>();
  /** Databases, by path, with the folder they are in. */
  readonly #databases = new Map<string, string>();
  /** Files that may become databases, with how they looked when they were none. */
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

  /** No look begins any more; resolves when what one found is done with. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#work;
  }

  /** One look, unless what the last one found is still being worked on. */
  look(): void {
    if (!this.#idle) return;
    const { gone, found } = this.#changes();
    if (gone.length === 0 && found.length === 0) return;
    this.#idle = false;
    this.#work = this.#apply(gone, found).finally(() => (this.#idle = true));
  }

  /** First those that are gone: a database that was renamed is both, and is open only once. */
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
      // Looked at again once it has changed.
      this.#candidates.set(path, appearanceOf(path) ?? '');
      if (existsSync(path)) this.#logger.error('register database with store', { path, error: describeError(error) });
    }
  }

  async #remove(path: string): Promise<void> {
    const { daemon, stop } = this.#options;
    this.#databases.delete(path);
    const database = daemon.find(path);
    if (database === undefined || database.origin !== 'directory') return;
    // What is in the local files is still sent, if they are not gone with it.
    const options = existsSync(ltxFolder(database.metaPath)) ? stop : { ...stop, timeoutMs: 0 };
    try {
      await daemon.remove(path, options);
    } catch (error) {
      this.#logger.warn('removed database was not replicated to its end', { path, error: describeError(error) });
    }
    this.#logger.info('removed database from replication', { path });
  }

  /** Compares what is there with what is known. Reads names, and the first bytes of files that may be new databases. */
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
    // A database that appears together with a link to it goes by its own name.
    return { gone, found: [...found.filter((path) => !isLink(path)), ...found.filter(isLink)] };
  }

  /** All folders if they are few, else a share of them; those that are found on the way come along. */
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

  /** Wanted names of a folder; its folders are watched from now on where the config says so. */
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

  /** Is it a link to a database that is replicated under another name? It stays a candidate: the other one may be removed. */
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

  /** A file is looked into when it has changed since it was last seen to be no database. */
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
