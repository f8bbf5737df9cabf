/** SIGHUP: the config is read again, and the daemon made to be as if it had been started with it. */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '@litestream/core';
import type { Config } from '../config/types.ts';
import { describeError } from '../describe-error.ts';
import { openReplicas } from '../replicas.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { Collisions } from './collisions.ts';
import type { Daemon } from './daemon.ts';
import { allDatabasesOf } from './directory.ts';
import type { SingleDatabase } from './directory.ts';
import type { ManagedDatabase, Origin } from './managed-database.ts';
import { restoreIfMissing } from './restore-missing.ts';
import { stopOptionsOf } from './stopping.ts';
import { settleBounded, Turns } from './turns.ts';
import type { Watchers } from './watchers.ts';

export interface ReloadOptions {
  /** The config that the daemon was started with. */
  readonly config: Config;
  /** Reads it again. Rejects with what is wrong in it. */
  readonly reread: () => Promise<Config>;
  readonly daemon: Daemon;
  readonly watchers: Watchers;
  readonly logger: Logger;
  readonly terminal: Terminal;
  /** Aborted when the daemon is told to stop. */
  readonly stopping: AbortSignal;
}

/** Databases that are stopped or started at the same time. */
const CHANGING_MAX = 50;

interface Wanted {
  readonly database: SingleDatabase;
  readonly origin: Origin;
}

/** What a new config means for the databases that the old one brought. */
interface Changes {
  readonly removed: readonly ManagedDatabase[];
  readonly changed: readonly Wanted[];
  readonly added: readonly Wanted[];
  readonly unchangedCount: number;
}

export class Reload {
  readonly #options: ReloadOptions;
  readonly #turns = new Turns();
  #waiting = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** Reads the config again, after a reload that is under way. Asking for several at once asks for one. */
  request(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    void this.#turns.run(() => {
      this.#waiting = false;
      return this.#reload();
    });
  }

  /** Resolves when no reload is under way. */
  async idle(): Promise<void> {
    await this.#turns.run(() => Promise.resolve());
  }

  /** Never rejects: whatever is wrong with a new config, what runs goes on. */
  async #reload(): Promise<void> {
    const { logger, stopping, config: old } = this.#options;
    if (stopping.aborted) return;
    try {
      const config = await this.#options.reread();
      const changes = await this.#changesOf(config);
      const settings = changedSettings(old, config);
      if (settings.length > 0) {
        logger.warn('changed settings take effect after a restart', { settings: settings.join(' ') });
      }
      await this.#apply(config, changes);
    } catch (error) {
      logger.error('config not reloaded, going on with what was running', {
        path: old.path,
        error: describeError(error),
      });
    }
  }

  /** Throws if the new config could not have been started with, before anything is touched. */
  async #changesOf(config: Config): Promise<Changes> {
    const { daemon } = this.#options;
    const named = new Set(config.databases.map(({ path }) => path));
    const databases = allDatabasesOf(config.databases);
    const collisions = new Collisions();
    for (const database of databases) collisions.claim(database);

    const wanted = new Set(databases.map(({ path }) => path));
    const removed = daemon.databases.filter(({ path, origin }) => origin !== 'socket' && !wanted.has(path));
    const changed: Wanted[] = [];
    const added: Wanted[] = [];
    let unchangedCount = 0;
    for (const database of databases) {
      const origin = named.has(database.path) ? 'config' : 'directory';
      const known = daemon.find(database.path);
      if (known === undefined) added.push({ database, origin });
      else if (known.origin === origin && isDeepStrictEqual(known.config, database)) unchangedCount++;
      else changed.push({ database, origin });
    }
    // A database whose replica has a mistake in it is better off with the replica that it has.
    for (const { database } of [...changed, ...added]) {
      const replicas = await openReplicas(database.replicas, daemon.registry, database.path);
      await replicas[Symbol.asyncDispose]();
    }
    return { removed, changed, added, unchangedCount };
  }

  /** First what goes, so that what comes finds its places free. */
  async #apply(config: Config, { removed, changed, added, unchangedCount }: Changes): Promise<void> {
    const { watchers, logger, stopping } = this.#options;
    await watchers.retain(config.databases);
    const leaving = [...removed.map(({ path }) => path), ...changed.map(({ database }) => database.path)];
    await settleBounded(leaving, CHANGING_MAX, (path) => this.#remove(path));
    for (const { path } of removed) logger.info('removed database from replication', { path });
    if (stopping.aborted) return;
    await settleBounded([...changed, ...added], CHANGING_MAX, (each) => this.#add(each));
    watchers.start(config.databases);
    logger.info('config reloaded', {
      path: config.path,
      added: added.length,
      removed: removed.length,
      changed: changed.length,
      unchanged: unchangedCount,
    });
  }

  async #remove(path: string): Promise<void> {
    const { daemon, config, logger, stopping } = this.#options;
    try {
      await daemon.remove(path, { ...stopOptionsOf(config), signal: stopping });
    } catch (error) {
      logger.warn('removed database was not replicated to its end', { path, error: describeError(error) });
    }
  }

  async #add({ database, origin }: Wanted): Promise<void> {
    const { daemon, logger, terminal, stopping } = this.#options;
    const { path } = database;
    try {
      if (database.restoreIfDbNotExists) {
        await restoreIfMissing(database, { registry: daemon.registry, logger, terminal, signal: stopping });
      }
      if (await daemon.add(database, origin)) logger.info('added database to replication', { path });
    } catch (error) {
      if (!stopping.aborted) logger.error('cannot replicate database', { path, error: describeError(error) });
    }
  }
}

/** Keys of settings that only the start of the process reads. */
function changedSettings(old: Config, config: Config): string[] {
  const { databases: _databases, path: _path, ...settings } = old;
  return Object.entries(settings)
    .filter(([key, value]) => !isDeepStrictEqual(value, config[key as keyof Config]))
    .map(([key]) => NAMES[key as keyof typeof settings]);
}

const NAMES: Readonly<Record<Exclude<keyof Config, 'databases' | 'path'>, string>> = {
  logging: 'logging',
  plugins: 'plugins',
  exec: 'exec',
  addr: 'addr',
  mcpAddr: 'mcp-addr',
  socket: 'socket',
  levels: 'levels',
  snapshot: 'snapshot',
  validationIntervalMs: 'validation.interval',
  l0RetentionMs: 'l0-retention',
  l0RetentionCheckIntervalMs: 'l0-retention-check-interval',
  verifyCompaction: 'verify-compaction',
  retentionEnabled: 'retention.enabled',
  heartbeat: 'heartbeat-url',
  shutdownSyncTimeoutMs: 'shutdown-sync-timeout',
  shutdownSyncIntervalMs: 'shutdown-sync-interval',
};
