/** The life of `litestream replicate`: open, follow, stop. */
import { existsSync } from 'node:fs';
import { LitestreamError, hasCode, isLitestreamError, restore } from '@litestream/core';
import type { Logger, PluginRegistry } from '@litestream/core';
import type { Config } from '../config/types.ts';
import { describeError, messageWithCauses } from '../describe-error.ts';
import { openRegistry, openReplicas } from '../replicas.ts';
import { Progress } from '../terminal/progress.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { version } from '../version.ts';
import { databasesOf } from './directory.ts';
import type { SingleDatabase } from './directory.ts';
import { startExec } from './exec.ts';
import type { ChildExit, ExecProcess } from './exec.ts';
import { ManagedDatabase } from './managed-database.ts';
import type { Services } from './managed-database.ts';
import { StopSignals, signalText } from './signals.ts';
import { announceStore, openStore } from './store.ts';

export interface ReplicateOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly terminal: Terminal;
  /** Sync once and end. */
  readonly once: { readonly forceSnapshot: boolean; readonly enforceRetention: boolean } | undefined;
}

/** Resolves to the exit code. */
export async function replicate(options: ReplicateOptions): Promise<number> {
  const { config, logger, once, terminal } = options;
  using signals = new StopSignals();
  logger.info('litestream', { version: version(), level: config.logging.levelText });
  const registry = await openRegistry(config);
  const singles = findDatabases(config, logger);
  for (const database of singles) {
    if (database.restoreIfDbNotExists) await restoreIfMissing(database, registry, options);
  }
  const store = once === undefined ? openStore(config, logger) : undefined;
  const databases = await openDatabases(singles, { config, logger, registry, store, terminal }, once !== undefined);
  const stop = async (): Promise<void> => {
    await store?.close();
    await stopDatabases(databases, signals, options);
  };
  let exitCode = 0;
  try {
    announce(databases, logger);
    if (store !== undefined) announceStore(config, logger);
    if (once === undefined) {
      for (const database of databases) database.start();
      exitCode = await follow(signals, options);
    } else {
      await runOnce(databases, once, logger);
      logger.info('replication complete, litestream shutting down');
    }
  } catch (error) {
    await stop();
    throw error;
  }
  await stop();
  logger.info('litestream shut down');
  return exitCode;
}

function findDatabases(config: Config, logger: Logger): SingleDatabase[] {
  if (config.databases.length === 0) logger.error('no databases specified in configuration');
  return config.databases.flatMap((database) => {
    const found = databasesOf(database);
    const { directory } = database;
    if (directory !== undefined) {
      const facts = { dir: directory.path, count: found.length, watch: directory.watch };
      logger.info('found databases in directory', facts);
    }
    return found;
  });
}

async function restoreIfMissing(
  database: SingleDatabase,
  registry: PluginRegistry,
  { logger, terminal }: ReplicateOptions,
): Promise<void> {
  const { path } = database;
  if (existsSync(path)) {
    logger.info('database exists, skipping restore', { path });
    return;
  }
  logger.info('attempting restore before replication', { path });
  await using replicas = await openReplicas(database.replicas, registry, path);
  for (const { client } of replicas.all) {
    const progress = new Progress({ terminal, logger, name: 'restore' });
    try {
      await restore(client, {
        output: path,
        logger,
        onProgress: ({ phase, bytesDone, bytesTotal }) => progress.update(phase, bytesDone, bytesTotal),
      });
      logger.info('restore completed', { path });
      return;
    } catch (error) {
      if (!hasCode(error, 'REPLICA_EMPTY')) throw error;
    } finally {
      progress.clear();
    }
  }
  logger.info('no backup found, starting fresh', { path });
}

/** A database that cannot be replicated stops the program only if there is no other. */
async function openDatabases(
  singles: readonly SingleDatabase[],
  services: Services,
  once: boolean,
): Promise<ManagedDatabase[]> {
  const { logger } = services;
  const open: ManagedDatabase[] = [];
  const failures: unknown[] = [];
  for (const single of singles) {
    const database = await ManagedDatabase.create(single, services);
    try {
      await database.open({ once });
      open.push(database);
    } catch (error) {
      await database.close();
      const named = naming(single.path, error);
      failures.push(named);
      if (singles.length > 1)
        logger.error('cannot replicate database', { path: single.path, error: describeError(named) });
    }
  }
  if (open.length === 0 && failures.length > 0) throw failures[0];
  return open;
}

/** The error, its message with the path of the database in it. */
function naming(path: string, error: unknown): unknown {
  if (isLitestreamError(error) || messageWithCauses(error).includes(path)) return error;
  return new LitestreamError(`cannot replicate ${path}`, { code: 'DATABASE_INVALID', object: path, cause: error });
}

function announce(databases: readonly ManagedDatabase[], logger: Logger): void {
  for (const { path, replicas } of databases) {
    logger.info('initialized db', { path });
    for (const { open } of replicas) {
      const { type } = open.client;
      logger.info('replicating to', { type, 'sync-interval': open.config.syncIntervalMs, ...open.facts });
    }
  }
}

/** Runs until a signal, or until the program of `-exec` ends. */
async function follow(signals: StopSignals, { config, logger }: ReplicateOptions): Promise<number> {
  const child = config.exec === undefined ? undefined : await startExec(config.exec);
  const first = await Promise.race([signals.next(), ...(child === undefined ? [] : [child.exited])]);
  if (typeof first !== 'string') {
    logger.info('subprocess exited, litestream shutting down');
    return first.exitCode;
  }
  logger.info('signal received, litestream shutting down', { signal: signalText(first) });
  if (child === undefined) return 0;
  logger.info('sending signal to exec process');
  child.kill(first);
  logger.info('waiting for exec process to close');
  const { exitCode, signal } = await exitOf(child, signals);
  // It ended as it was told to.
  return signal === undefined ? exitCode : 0;
}

/** Waits for the program; further signals go to it too, since it is not ours to leave it running. */
async function exitOf(child: ExecProcess, signals: StopSignals): Promise<ChildExit> {
  for (;;) {
    const next = await Promise.race([child.exited, signals.next()]);
    if (typeof next !== 'string') return next;
    child.kill(next);
  }
}

async function runOnce(
  databases: readonly ManagedDatabase[],
  once: NonNullable<ReplicateOptions['once']>,
  logger: Logger,
): Promise<void> {
  for (const database of databases) {
    const { path } = database;
    logger.info('syncing database', { path });
    await database.sync();
    if (once.forceSnapshot) {
      logger.info('taking snapshot', { path });
      await database.snapshot();
    }
    if (once.enforceRetention) {
      logger.info('enforcing retention', { path });
      await database.enforceRetention();
    }
  }
  logger.info('one-shot replication complete');
}

/** Last sync of all databases at the same time; another signal ends it. A failure is logged, as upstream does. */
async function stopDatabases(
  databases: readonly ManagedDatabase[],
  signals: StopSignals,
  { config, logger }: ReplicateOptions,
): Promise<void> {
  const interrupt = new AbortController();
  void signals.next().then(() => interrupt.abort(new Error('interrupted by a second signal')));
  const { shutdownSyncTimeoutMs: timeoutMs, shutdownSyncIntervalMs: intervalMs } = config;
  const stopped = await Promise.allSettled(
    databases.map((database) => database.stop({ timeoutMs, intervalMs, signal: interrupt.signal })),
  );
  for (const each of stopped) {
    if (each.status === 'fulfilled') continue;
    const error: unknown = each.reason;
    if (interrupt.signal.aborted) logger.warn('shutdown sync skipped by user interrupt', { error });
    else logger.error('failed to close database', { error });
  }
}
