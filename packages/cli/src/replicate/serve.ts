/** What runs between the start of a daemon and its end. */
import { isDeepStrictEqual } from 'node:util';
import { ControlServer } from '../control/server.ts';
import type { Metrics } from '../http/metrics.ts';
import type { StatusServer } from '../http/server.ts';
import type { McpHttpServer } from '../mcp/server.ts';
import type { Logger } from '@litestream/core';
import type { Config } from '../config/types.ts';
import type { Daemon } from '../daemon/daemon.ts';
import { startExec } from './exec.ts';
import type { ExecProcess } from './exec.ts';
import { Heartbeat } from './heartbeat.ts';
import { Reload } from '../reload/reload.ts';
import type { ReplicateOptions } from './replicate-options.ts';
import type { Shutdown } from './shutdown.ts';
import { forwardSignals, loggedSignal } from './signals.ts';
import type { Signals, StopSignal } from './signals.ts';
import { stopOptionsOf } from './stop-daemon.ts';
import { Watchers } from '../watch/watchers.ts';

export interface ServeOptions extends ReplicateOptions {
  /** Undefined if the config has no address to serve them at. */
  readonly metrics: Metrics | undefined;
}

/** What ends the run. */
export interface Ends {
  readonly signals: Signals;
  readonly shutdown: Shutdown;
}

/** Runs until a signal, or until the program of `-exec` ends. Resolves to the exit code. */
export async function serve(daemon: Daemon, { signals, shutdown }: Ends, options: ServeOptions): Promise<number> {
  const { config, logger, metrics, reread } = options;
  const stop = stopOptionsOf(config);
  const { enabled, ...socket } = config.socket;
  const control = enabled ? await ControlServer.start({ ...socket, daemon, logger, stop }) : undefined;
  daemon.announce();
  daemon.monitor();
  const watchers = new Watchers({ daemon, logger, stop });
  watchers.start(config.databases);
  const status = metrics === undefined ? undefined : await serveStatus(config, { daemon, metrics, logger });
  let current = config;
  const mcp = await serveMcp(options, () => current.databases);
  const beat = ({ heartbeat }: Config): Heartbeat | undefined => {
    const made = heartbeat && new Heartbeat({ ...heartbeat, daemon, logger });
    made?.start();
    return made;
  };
  let beating = config.heartbeat;
  let heartbeat = beat(config);
  const onReload = async (next: Config): Promise<void> => {
    current = next;
    if (isDeepStrictEqual(next.heartbeat, beating)) return;
    beating = next.heartbeat;
    await heartbeat?.stop();
    heartbeat = beat(next);
  };
  const { terminal } = options;
  const reload = reread && new Reload({ config, reread, daemon, watchers, logger, terminal, stop, onReload });
  if (reload !== undefined) signals.onReload(() => reload.request());
  try {
    return await waitForEnd(daemon, { signals, shutdown }, options);
  } finally {
    await reload?.stop();
    await heartbeat?.stop();
    await watchers.retain([]);
    await control?.close();
    await mcp?.close();
    await status?.close();
    metrics?.stop();
  }
}

async function serveStatus(
  { addr = '', addrToken, addrHosts }: Config,
  parts: { readonly daemon: Daemon; readonly metrics: Metrics; readonly logger: Logger },
): Promise<StatusServer | undefined> {
  const { StatusServer } = await import('../http/server.ts');
  return await StatusServer.start({ addr, token: addrToken, hosts: addrHosts, ...parts });
}

async function serveMcp(
  { config, logger, noExpandEnv }: ReplicateOptions,
  databases: () => Config['databases'],
): Promise<McpHttpServer | undefined> {
  const { mcpAddr, mcpToken, mcpOutputDir, path } = config;
  if (mcpAddr === undefined || path === undefined) return undefined;
  const { McpHttpServer } = await import('../mcp/server.ts');
  return await McpHttpServer.start({
    addr: mcpAddr,
    token: mcpToken,
    outputDir: mcpOutputDir,
    configPath: path,
    noExpandEnv,
    databases,
    logger,
  });
}

async function waitForEnd(
  daemon: Daemon,
  { signals, shutdown }: Ends,
  { config, logger }: ReplicateOptions,
): Promise<number> {
  const { exec, execCredentials: passCredentials } = config;
  // The program must not read an older state, or write while another process does.
  const isStopped = exec !== undefined && (await Promise.race([daemon.promoted(), signals.first()])) !== undefined;
  const child = exec === undefined || isStopped ? undefined : await startExec(exec, { logger, passCredentials });
  if (child !== undefined) void child.exited.then(forwardSignals((signal) => child.kill(signal)));
  const ends = child === undefined ? [] : [child.exited, daemon.lost];
  const first = await Promise.race([signals.first(), ...ends]);
  shutdown.begin();
  if (typeof first === 'object' && 'exitCode' in first) {
    logger.info('subprocess exited, litestream shutting down');
    return first.exitCode;
  }
  if (typeof first === 'object') {
    logger.error('lease lost, stopping the exec process: its writes are not replicated', { error: first.error });
    if (child !== undefined) await stopChild(child, 'SIGTERM', { shutdown, logger });
    return 1;
  }
  logger.info('signal received, litestream shutting down', { signal: loggedSignal(first) });
  return child === undefined ? 0 : await stopChild(child, first, { shutdown, logger });
}

async function stopChild(
  child: ExecProcess,
  first: StopSignal,
  { shutdown, logger }: { readonly shutdown: Shutdown; readonly logger: Logger },
): Promise<number> {
  // A shutdown never leaves the program running.
  shutdown.over.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  if (shutdown.over.aborted) child.kill('SIGKILL');
  logger.info('sending signal to exec process');
  child.kill(first);
  logger.info('waiting for exec process to close');
  const { exitCode, signal } = await child.exited;
  // A program that the signal ended has succeeded.
  return signal === undefined ? exitCode : 0;
}
