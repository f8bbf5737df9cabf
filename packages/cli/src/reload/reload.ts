/**
 * SIGHUP: reads the config again, and starts, removes or restarts the databases that it adds, removes or changes. All others
 * continue without interruption. An invalid config changes nothing.
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
  /** Reads the config again and applies the flags. Rejects with the mistake in it. */
  readonly reread: () => Promise<Config>;
  readonly daemon: Daemon;
  readonly watchers: Watchers;
  readonly logger: Logger;
  readonly terminal: Terminal;
  /** How to stop a database that is removed or restarted. */
  readonly stop: StopOptions;
  /** Called with the config that applies from now on. */
  readonly onReload: (config: Config) => Promise<void>;
}

/** A database that is to start, or to restart. */
interface Coming {
  readonly wanted: Wanted;
  readonly before: Wanted | undefined;
  /** Whether it was stopped by request, and stays stopped. */
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
  /** A requested reload has not begun yet: it serves all further requests, too. */
  #isWaiting = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** Reads the config after the reload that runs now, if any. Logs failures. */
  request(): void {
    if (this.#isWaiting || this.#lifetime.signal.aborted) return;
    this.#isWaiting = true;
    this.#work = this.#work.then(() => this.#reload());
  }

  /** Starts no more databases. Resolves when those that are starting have started. */
  async stop(): Promise<void> {
    this.#lifetime.abort(new Error('litestream is stopping'));
    await this.#work;
  }

  /** Never rejects: running databases continue if the new config has mistakes. */
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

  /** Throws, before any change, if the daemon could not have started with the new config. */
  async #check(config: Config): Promise<ReloadPlan> {
    const { daemon } = this.#options;
    const named = new Set(config.databases.map(({ path }) => path));
    const wanted = allDatabasesOf(config.databases).map((each): Wanted => ({
      config: each,
      origin: named.has(each.path) ? 'config' : 'directory',
    }));
    const plan = planReload(daemon.databases, wanted);
    // A database keeps its current replica if the new one has a mistake.
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

  /** A database starts once it and the databases whose folder or replica it takes over have stopped. It waits for no others. */
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
    // At the end of the process, the daemon waits for the databases that are still stopping.
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

  /** A database that cannot be replicated with its new settings continues with its old ones. */
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
