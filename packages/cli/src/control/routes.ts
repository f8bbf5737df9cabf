/** Handlers for the paths of the control socket, with the status codes and messages of Litestream (Go). */
import type { StopOptions } from '@litestream/core';
import { commandLineConfig } from '../databases/command-line.ts';
import { expandPath, isReplicaUrl } from '../config/paths.ts';
import { describeError } from '../util/describe-error.ts';
import { openReplicas } from '../databases/replicas.ts';
import type { Daemon } from '../daemon/daemon.ts';
import type { ManagedDatabase, ReplicaOutcome } from '../daemon/managed-database.ts';
import type { DatabaseReport } from '../daemon/services/report.ts';
import { redact } from '../util/secrets.ts';
import { version } from '../util/version.ts';
import { decodeBody } from './decode.ts';
import type { BodyType, FieldType } from './decode.ts';
import { checkEndpoint } from './endpoints.ts';
import type { SyncDiagnostic, VerifiedReplica } from './protocol.ts';

export interface RouteRequest {
  readonly query: URLSearchParams;
  readonly body: string;
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal;
}

export interface RouteResponse {
  readonly status: number;
  readonly body: object;
}

export interface RouteContext {
  readonly daemon: Daemon;
  readonly startedAt: Date;
  /** Time limits of the last sync, from the config. */
  readonly stop: StopOptions;
  /** `socket.endpoints`: get credentials of the environment even if only a request names them. */
  readonly endpoints: readonly string[];
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly handle: (context: RouteContext, request: RouteRequest) => RouteResponse | Promise<RouteResponse>;
}

const DEFAULT_TIMEOUT_SECONDS = 30;

const bodies = {
  start: { name: 'StartRequest', fields: { path: 'string', timeout: 'int' } },
  stop: { name: 'StopRequest', fields: { path: 'string', timeout: 'int' } },
  sync: { name: 'SyncRequest', fields: { path: 'string', wait: 'bool', timeout: 'int' } },
  verify: { name: 'VerifyRequest', fields: { path: 'string', repair: 'bool', timeout: 'int' } },
  register: { name: 'RegisterDatabaseRequest', fields: { path: 'string', replica_url: 'string' } },
  unregister: { name: 'UnregisterDatabaseRequest', fields: { path: 'string', timeout: 'int' } },
} as const satisfies Record<string, BodyType<Record<string, FieldType>>>;

export const ROUTES: Readonly<Record<string, Route>> = {
  '/start': { method: 'POST', handle: start },
  '/stop': { method: 'POST', handle: stop },
  '/register': { method: 'POST', handle: register },
  '/unregister': { method: 'POST', handle: unregister },
  '/sync': { method: 'POST', handle: sync },
  '/verify': { method: 'POST', handle: verify },
  '/txid': { method: 'GET', handle: txid },
  '/list': { method: 'GET', handle: list },
  '/info': { method: 'GET', handle: info },
  '/debug/sync-status': { method: 'GET', handle: syncStatus },
};

async function start({ daemon }: RouteContext, { body }: RouteRequest): Promise<RouteResponse> {
  const { path, timeout } = decodeBody(body, bodies.start);
  if (path === '') return failure(400, 'path required');
  const database = daemon.find(expandPath(path));
  if (database === undefined) return failure(500, `database not found: ${expandPath(path)}`);
  try {
    const started = await within(timeout, database.start(), 'enable database');
    return ok(stateOf(database, started ? 'started' : 'already_running'));
  } catch (error) {
    return failure(500, `open database: ${describeError(error)}`);
  }
}

async function stop({ daemon, stop }: RouteContext, { body }: RouteRequest): Promise<RouteResponse> {
  const { path, timeout } = decodeBody(body, bodies.stop);
  if (path === '') return failure(400, 'path required');
  const database = daemon.find(expandPath(path));
  if (database === undefined) return failure(500, `database not found: ${expandPath(path)}`);
  try {
    const stopped = await database.stop(shortened(stop, timeout));
    return ok(stateOf(database, stopped ? 'stopped' : 'already_stopped'));
  } catch (error) {
    return failure(500, `close database: ${describeError(error)}`);
  }
}

async function register({ daemon, endpoints }: RouteContext, { body }: RouteRequest): Promise<RouteResponse> {
  const { path: given, replica_url: url } = decodeBody(body, bodies.register);
  if (given === '') return failure(400, 'path required');
  if (url === '') return failure(400, 'replica_url required');
  const path = expandPath(given);
  if (daemon.find(path) !== undefined) return ok({ status: 'already_registered', path });
  if (!isReplicaUrl(url)) return failure(400, `invalid replica url: replica url scheme required: ${url}`);
  const [database] = commandLineConfig(path, [url], []).databases;
  if (database === undefined) return failure(400, 'path required');
  try {
    const known = daemon.databases.flatMap(({ origin, config }) => (origin === 'socket' ? [] : config.replicas));
    for (const replica of database.replicas) {
      await checkEndpoint(replica, daemon.registry, { known, allowed: endpoints });
    }
    // Opened and closed here to tell a wrong URL from a database that cannot be replicated.
    const replicas = await openReplicas(database.replicas, daemon.registry, path);
    await replicas[Symbol.asyncDispose]();
  } catch (error) {
    return failure(400, `invalid replica url: ${describeError(error)}`);
  }
  try {
    const added = await daemon.add({ ...database, path }, 'socket');
    return ok({ status: added ? 'registered' : 'already_registered', path });
  } catch (error) {
    return failure(500, `failed to register database: ${describeError(error)}`);
  }
}

async function unregister({ daemon, stop }: RouteContext, { body }: RouteRequest): Promise<RouteResponse> {
  const { path: given, timeout } = decodeBody(body, bodies.unregister);
  if (given === '') return failure(400, 'path required');
  const path = expandPath(given);
  try {
    const database = await daemon.remove(path, shortened(stop, timeout));
    if (database !== undefined) return ok(stateOf(database, 'unregistered'));
    return ok({ status: 'already_unregistered', path, txid: 0n });
  } catch (error) {
    return failure(500, `failed to unregister database: close db: ${describeError(error)}`);
  }
}

async function sync({ daemon }: RouteContext, { body }: RouteRequest): Promise<RouteResponse> {
  const { path: given, wait, timeout } = decodeBody(body, bodies.sync);
  if (given === '') return failure(400, 'path required');
  const path = expandPath(given);
  const database = daemon.find(path);
  if (database === undefined) return failure(404, `database not found: ${path}`);
  const seconds = timeout > 0 ? timeout : wait ? DEFAULT_TIMEOUT_SECONDS : 0;
  const abort = new AbortController();
  try {
    const work = database.sync({ upload: wait, signal: abort.signal });
    const result = await within(seconds, work, 'sync', abort);
    if (result === undefined) return failure(409, `database not open: ${path}`);
    if (wait && result.txid === 0n) {
      return failure(500, 'sync database: replica sync: no position, waiting for data');
    }
    const status = !result.changed ? 'no_change' : wait ? 'synced' : 'synced_local';
    return ok({ status, path, txid: result.txid, replicated_txid: result.replicatedTxid });
  } catch (error) {
    return failure(500, `sync database: ${describeError(error)}`);
  }
}

/** Not in Litestream (Go). Without a timeout, it ends when all pages are read. */
async function verify({ daemon }: RouteContext, { body, signal: left }: RouteRequest): Promise<RouteResponse> {
  const { path: given, repair, timeout } = decodeBody(body, bodies.verify);
  if (given === '') return failure(400, 'path required');
  const path = expandPath(given);
  const database = daemon.find(path);
  if (database === undefined) return failure(404, `database not found: ${path}`);
  const abort = new AbortController();
  try {
    const signal = AbortSignal.any([left, abort.signal]);
    const outcomes = await within(timeout, database.verify({ repair, signal }), 'verify', abort);
    if (outcomes === undefined) return failure(409, `database not open: ${path}`);
    return ok({ path, replicas: [...outcomes].map(([replica, outcome]) => verified(replica, outcome)) });
  } catch (error) {
    return failure(500, `verify database: ${describeError(error)}`);
  }
}

function verified(replica: string, outcome: ReplicaOutcome): VerifiedReplica {
  if ('error' in outcome) return { replica: redact(replica), ok: false, error: describeError(outcome.error) };
  const { txid, pageCount, repairs, faults } = outcome.proof;
  return { replica: redact(replica), ok: true, txid, page_count: pageCount, repairs, faults: faults.map(redact) };
}

function txid({ daemon }: RouteContext, { query }: RouteRequest): RouteResponse {
  const path = query.get('path') ?? '';
  if (path === '') return failure(400, 'path required');
  const database = daemon.find(expandPath(path));
  return database === undefined ? failure(404, 'database not found') : ok({ txid: database.txid });
}

function list({ daemon }: RouteContext): RouteResponse {
  const databases = daemon.report().map(({ path, state, lastSyncAt }) => ({
    path,
    status: state,
    last_sync_at: lastSyncAt?.toISOString(),
  }));
  return ok({ databases });
}

function info({ daemon, startedAt }: RouteContext): RouteResponse {
  return ok({
    version: version(),
    pid: process.pid,
    uptime_seconds: Math.floor((Date.now() - startedAt.getTime()) / 1000),
    started_at: startedAt.toISOString(),
    database_count: daemon.databases.length,
  });
}

function syncStatus({ daemon }: RouteContext, { query }: RouteRequest): RouteResponse {
  const path = query.get('path') ?? '';
  if (path === '') return ok({ databases: daemon.report().map(diagnosticOf) });
  const database = daemon.find(expandPath(path));
  if (database === undefined) return failure(404, 'database not found');
  return ok({ databases: [diagnosticOf(database.report())] });
}

function diagnosticOf({ path, txid, db, lastError }: DatabaseReport): SyncDiagnostic {
  const activity = db?.activity;
  const error = lastError === undefined ? undefined : describeError(lastError);
  if (activity === undefined) return { path, active: false, txid: nonZero(txid), error };
  const { active, operation, phase, startedAt, updatedAt } = activity;
  const endMs = active ? Date.now() : updatedAt.getTime();
  return {
    path,
    active,
    operation,
    phase,
    started_at: startedAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    elapsed_seconds: nonZero((endMs - startedAt.getTime()) / 1000),
    txid: nonZero(txid),
    last_synced_wal_offset: nonZero(db?.walSize ?? 0),
    error,
  };
}

function nonZero<T extends number | bigint>(value: T): T | undefined {
  return value > 0 ? value : undefined;
}

function stateOf({ path, txid }: ManagedDatabase, status: string): object {
  return { status, path, txid };
}

function ok(body: object): RouteResponse {
  return { status: 200, body };
}

/** An error may quote the request, so it is redacted. Paths stay unchanged, because scripts look for them. */
function failure(status: number, error: string): RouteResponse {
  return { status, body: { error: redact(error) } };
}

/** Without a timeout in the request, a stop gets 30 seconds, as in Litestream (Go). */
function shortened(stop: StopOptions, seconds: number): StopOptions {
  const timeoutMs = (seconds > 0 ? seconds : DEFAULT_TIMEOUT_SECONDS) * 1000;
  return { ...stop, timeoutMs: Math.min(stop.timeoutMs ?? timeoutMs, timeoutMs) };
}

/** Rejects, and aborts `abort`, after this many seconds; 0 is no limit. */
async function within<T>(seconds: number, work: Promise<T>, what: string, abort?: AbortController): Promise<T> {
  if (seconds <= 0) return await work;
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new Error(`${what}: not finished within ${seconds}s`);
    abort?.abort(error);
    reject(error);
  }, seconds * 1000);
  // After the timeout no caller waits for the work, so its failure must not be an unhandled rejection.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
