/**
 * SIGHUP: reads the config again, and starts, removes or restarts the databases that it adds, removes or changes. All others
 * continue without interruption. A config that cannot be used changes nothing.
 */
import type { Logger, StopOptions } from '@litestream/core';
import type { Config } from '../config/types.ts';
import { describeError } from '../util/describe-error.ts';
import { openReplicas } from '../databases/replicas.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { allDatabasesOf } from '../databases/directory.ts';
import { planReload } from './reload-plan.ts';
import type { ReloadPlan, Wanted } from './reload-plan.ts';
import { restartSettings } from './restart-settings.ts';
import { isRestoredFirst, restoreIfMissing } from '../databases/restore-missing.ts';
import { settleBounded } from '../util/task-queue.ts';
import type { Watchers } from '../watch/watchers.ts';

const STOPPING_MAX = 50;
const STARTING_MAX = 50;

export interface ReloadOptions {
  /** The config that the daemon was started with. */
  readonly config: Config;
  /** Reads it again, flags applied. Rejects with what is wrong in it. */
  readonly reread: () => Promise<Config>;
  readonly daemon: Daemon;
  readonly watchers: Watchers;
  readonly logger: Logger;
  readonly terminal: Terminal;
  /** How a database that is removed, or restarted, is stopped. */
  readonly stop: StopOptions;
  /** Told of a config that is used from now on. */
  readonly onReload: (config: Config) => Promise<void>;
}

/** A database that is to start, or to restart. */
interface Coming {
  readonly wanted: Wanted;
  readonly before: Wanted | undefined;
  /** By request, and it stays so. */
  readonly isStopped: boolean;
  readonly waitsFor: readonly PromiseWithResolvers<void>[];
}

export class Reload {
  readonly #options: ReloadOptions;
  readonly #lifetime = new AbortController();
  readonly #aborted: Promise<void> = new Promise((resolve) => {
    this.#lifetime.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  #work: Promise<void> = Promise.resolve();
  /** One that is asked for and has not begun reads what every further one would. */
  #isWaiting = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** Reads the config once whatever is under way is done. Failures are logged. */
  request(): void {
    if (this.#isWaiting || this.#lifetime.signal.aborted) return;
    this.#isWaiting = true;
    this.#work = this.#work.then(() => this.#reload());
  }

  /** Starts nothing any more; resolves when what has begun to start has started. */
  async stop(): Promise<void> {
    this.#lifetime.abort(new Error('litestream is stopping'));
    await this.#work;
  }

  /** Never rejects: whatever is wrong with a new config, what runs goes on. */
  async #reload(): Promise<void> {
    this.#isWaiting = false;
    if (this.#lifetime.signal.aborted) return;
    const { logger, config: old } = this.#options;
    try {
      const config = await this.#options.reread();
      const plan = await this.#check(config);
      const settings = restartSettings(old, config);
      if (settings.length > 0) {
        logger.warn('changed settings take effect after a restart', { settings: settings.join(' ') });
      }
      await this.#apply(config, plan);
    } catch (error) {
      logger.error('config not reloaded, going on with what was running', {
        path: old.path,
        error: describeError(error),
      });
    }
  }

  /** Throws if the new config could not have been started with, before anything is touched. */
  async #check(config: Config): Promise<ReloadPlan> {
    const { daemon } = this.#options;
    const named = new Set(config.databases.map(({ path }) => path));
    const wanted = allDatabasesOf(config.databases).map((each): Wanted => ({
      config: each,
      origin: named.has(each.path) ? 'config' : 'directory',
    }));
    const plan = planReload(daemon.databases, wanted);
    // A database whose replica has a mistake in it is better off with the replica that it has.
    for (const { config: database } of [...plan.changed, ...plan.added]) {
      const replicas = await openReplicas(database.replicas, daemon.registry, database.path);
      await replicas[Symbol.asyncDispose]();
    }
    return plan;
  }

  async #apply(config: Config, plan: ReloadPlan): Promise<void> {
    const { watchers, logger, onReload } = this.#options;
    await watchers.retain(config.databases);
    await this.#applyPlan(plan);
    if (this.#lifetime.signal.aborted) return;
    watchers.start(config.databases);
    await onReload(config);
    logger.info('config reloaded', {
      path: config.path,
      added: plan.added.length,
      removed: plan.removed.length,
      changed: plan.changed.length,
      unchanged: plan.unchanged.length,
    });
  }

  /** A database starts once it, and those whose places it takes over, have stopped; it waits for no other. */
  async #applyPlan({ added, changed, removed, unchanged }: ReloadPlan): Promise<void> {
    const { daemon } = this.#options;
    for (const { config, origin } of unchanged) daemon.find(config.path)?.adopt(origin);
    const stops = new Map<string, PromiseWithResolvers<void>>();
    for (const path of [...changed.map(({ config }) => config.path), ...removed]) {
      stops.set(path, Promise.withResolvers<void>());
    }
    const coming = [...added, ...changed].map((wanted): Coming => {
      const before = daemon.find(wanted.config.path);
      return {
        wanted,
        before: before && { config: before.config, origin: before.origin },
        isStopped: before !== undefined && before.running === undefined,
        waitsFor: [wanted.config.path, ...daemon.ownersOf(wanted.config)].flatMap((path) => stops.get(path) ?? []),
      };
    });
    const gone = new Set(removed);
    const stopping = settleBounded([...stops], STOPPING_MAX, async ([path, { resolve }]) => {
      await this.#remove(path, gone.has(path));
      resolve();
    });
    const starting = settleBounded(coming, STARTING_MAX, async (each) => {
      await Promise.race([Promise.all(each.waitsFor.map(({ promise }) => promise)), this.#aborted]);
      if (!this.#lifetime.signal.aborted) await this.#add(each);
    });
    await starting;
    // At the end of the process the daemon itself waits for those that are still leaving.
    await Promise.race([stopping, this.#aborted]);
  }

  async #remove(path: string, isGone: boolean): Promise<void> {
    const { daemon, logger, stop } = this.#options;
    try {
      await daemon.remove(path, stop);
    } catch (error) {
      const what = isGone ? 'removed database' : 'changed database';
      logger.warn(`${what} was not replicated to its end`, { path, error: describeError(error) });
    }
    if (isGone) logger.info('removed database from replication', { path });
  }

  /** One that cannot be replicated as it is wanted now goes on as it was. */
  async #add({ wanted: { config, origin }, before, isStopped }: Coming): Promise<void> {
    const { daemon, logger, terminal } = this.#options;
    const { path } = config;
    try {
      if (isRestoredFirst(config) && !isStopped) {
        const { signal } = this.#lifetime;
        await restoreIfMissing(config, { registry: daemon.registry, logger, terminal, signal });
      }
      const isNew = await daemon.add(config, origin, { isStopped });
      if (isNew && !isStopped) logger.info('added database to replication', { path });
    } catch (error) {
      if (this.#lifetime.signal.aborted) return;
      logger.error('cannot replicate database', { path, error: describeError(error) });
      if (before === undefined) return;
      try {
        await daemon.add(before.config, before.origin, { isStopped });
        logger.warn('database keeps its previous configuration', { path });
      } catch (again) {
        logger.error('database is not replicated any more', { path, error: describeError(again) });
      }
    }
  }
}
