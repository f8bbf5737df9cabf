/** The phases of `litestream replicate`: open, monitor, stop. */
import type { Logger } from '@litestream/core';
import type { Config } from '../config/types.ts';
import { openRegistry } from '../databases/replicas.ts';
import { StrayErrors } from '../terminal/stray-errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { version } from '../util/version.ts';
import { Daemon } from '../daemon/daemon.ts';
import { allDatabasesOf } from '../databases/directory.ts';
import type { SingleDatabase } from '../databases/directory.ts';
import type { DatabaseReport } from '../daemon/services/report.ts';
import { isRestoredFirst, restoreIfMissing } from '../databases/restore-missing.ts';
import type { ReplicateOptions } from './replicate-options.ts';
import { runOnce } from './run-once.ts';
import { serve } from './serve.ts';
import type { Ends } from './serve.ts';
import { Shutdown } from './shutdown.ts';
import { Signals } from './signals.ts';
import { stopDaemon } from './stop-daemon.ts';
import { settleBounded } from '../util/task-queue.ts';

/** A restore keeps several cores busy by itself. */
const RESTORING_MAX = 2;

/** Resolves to the exit code. Rejects if the last sync fails, or if the shutdown times out or is interrupted. */
export async function replicate(options: ReplicateOptions): Promise<number> {
  const { config, once } = options;
  using signals = new Signals({ canReload: once === undefined && options.reread !== undefined });
  using shutdown = new Shutdown(signals, config.shutdownTimeoutMs);
  return await shutdown.bound(live(options, { signals, shutdown }));
}

async function live(options: ReplicateOptions, { signals, shutdown }: Ends): Promise<number> {
  const { config, logger, once, terminal } = options;
  using strays = new StrayErrors(logger);
  strays.watch();
  logger.info('litestream', { version: version(), level: config.logging.levelText });
  const registry = await openRegistry(config);
  const databases = findDatabases(config, logger);
  const missing = databases.filter(isRestoredFirst);
  const restored = await settleBounded(missing, RESTORING_MAX, (database) =>
    restoreIfMissing(database, { registry, logger, terminal, signal: signals.stopping }),
  );
  for (const each of restored) if (each.status === 'rejected') throw each.reason;

  const metrics = once === undefined ? await openMetrics(config, () => daemon.report()) : undefined;
  const onOperation = metrics?.onOperation;
  const daemon = new Daemon({ config, logger, registry, terminal, once: once !== undefined, onOperation });
  const named = new Set(config.databases.map(({ path }) => path));
  const open = (): Promise<void> => daemon.open(databases, ({ path }) => (named.has(path) ? 'config' : 'directory'));
  let exitCode = 0;
  try {
    if (once === undefined) {
      await open();
      exitCode = await serve(daemon, { signals, shutdown }, { ...options, metrics });
    } else {
      await unlessStopped(signals.stopping, async () => {
        await open();
        daemon.announce();
        await runOnce(daemon, once, logger);
      });
      logger.info('replication complete, litestream shutting down');
    }
  } catch (error) {
    // A run with -once is itself the last sync. After an interrupt, a second one is not wanted.
    if (once === undefined || !signals.stopping.aborted) await stopDaemon(daemon, { config, logger, shutdown });
    throw error;
  }
  const failure = await stopDaemon(daemon, { config, logger, shutdown });
  // If the program of -exec failed, its exit code says more than the failure of the last sync.
  if (failure !== undefined && exitCode === 0) throw failure;
  if (failure === undefined) logger.info('litestream shut down');
  return exitCode;
}

/** Rejects as soon as the signal is aborted. The task may then run until the process exits. */
async function unlessStopped(signal: AbortSignal, task: () => Promise<void>): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  await Promise.race([task(), promise]);
}

/** Without an address to serve metrics at, counts nothing and does not load the library. */
async function openMetrics(config: Config, report: () => readonly DatabaseReport[]): Promise<Metrics | undefined> {
  if (config.addr === undefined) return undefined;
  const { Metrics } = await import('../http/metrics.ts');
  return new Metrics(report);
}

function findDatabases(config: Config, logger: Logger): SingleDatabase[] {
  if (config.databases.length === 0) logger.error('no databases specified in configuration');
  const databases = allDatabasesOf(config.databases, (dir) =>
    logger.warn('cannot list directory, its databases are not replicated', { dir }),
  );
  for (const { directory } of config.databases) {
    if (directory === undefined) continue;
    const count = databases.filter(({ path }) => path.startsWith(`${directory.path}/`)).length;
    logger.info('found databases in directory', { dir: directory.path, count, watch: directory.watch });
  }
  return databases;
}
