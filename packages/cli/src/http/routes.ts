/** The answers of the status server, by path. */
import { formatTxid } from '@litestream/ltx';
import type { Daemon } from '../daemon/daemon.ts';
import { isWaitingForLease } from '../daemon/services/report.ts';
import type { DatabaseReport } from '../daemon/services/report.ts';
import { redact } from '../util/secrets.ts';
import { parseDuration } from '../units/duration.ts';
import type { ReplicaListings } from './listings.ts';
import { lagSeconds } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import { PAGE } from './page.ts';
import { databaseStatus, processStatus } from './status.ts';

export interface PageContext {
  readonly daemon: Daemon;
  readonly metrics: Metrics;
  readonly listings: ReplicaListings;
  /** The request uses an allowed host name, and the token if there is one: it may see the names of databases. */
  readonly isTrusted: boolean;
}

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

type Route = (context: PageContext, query: URLSearchParams) => Page | Promise<Page>;

export const ROUTES: Readonly<Record<string, Route>> = {
  '/': () => ({ status: 200, type: 'text/html; charset=utf-8', body: PAGE }),
  '/metrics': async ({ metrics }) => ({ status: 200, type: metrics.contentType, body: await metrics.text() }),
  '/healthz': () => ({ status: 200, type: 'text/plain; charset=utf-8', body: 'ok\n' }),
  '/readyz': ready,
  '/api/status': ({ daemon }) =>
    json(200, { ...processStatus(daemon), databases: daemon.report().map((report) => databaseStatus(report)) }),
  '/api/files': files,
};

const MAX_LAG_MS = 60_000;

/** 200 if every database was fully replicated within `?max-lag=30s`, by default within a minute. */
function ready({ daemon, isTrusted }: PageContext, query: URLSearchParams): Page {
  const maxLagMs = parseDuration(query.get('max-lag') ?? '') ?? MAX_LAG_MS;
  const behind = daemon.report().flatMap((report) => {
    const reason = reasonNotReady(report, maxLagMs);
    return reason === undefined ? [] : [`${report.path}: ${reason}`];
  });
  const body = behind.length > 0 ? (isTrusted ? behind.join('\n') : 'not ready') : isTrusted ? okText(daemon) : 'ok';
  return { status: behind.length === 0 ? 200 : 503, type: 'text/plain; charset=utf-8', body: `${body}\n` };
}

function okText(daemon: Daemon): string {
  const proofs = daemon.report().flatMap(({ path, db }) => {
    const proof = db?.proof;
    return proof === undefined
      ? []
      : [`${path}: proven up to TXID ${formatTxid(proof.txid)} at ${proof.at.toISOString()}`];
  });
  return ['ok', ...proofs].join('\n');
}

/** Undefined for a database whose replicas are up to date. A database that was stopped by request has no lag. */
export function reasonNotReady(
  report: DatabaseReport,
  maxLagMs: number,
  nowMs: number = Date.now(),
): string | undefined {
  if (report.state === 'stopped') return undefined;
  // It is replicated, by another Litestream that may be waiting for this one to be ready before it ends.
  if (report.db?.state === 'standby' || isWaitingForLease(report)) return undefined;
  const unheld = report.replicas.find(({ lease }) => lease?.state === 'lost' || lease?.state === 'lapsed');
  if (unheld !== undefined) return unheld.lease?.state === 'lost' ? 'the lease is lost' : 'the lease was not renewed';
  if (report.db?.state === 'waiting') {
    const { waitingFor } = report.db;
    return waitingFor === undefined
      ? 'there is no database file yet'
      : `the database is not ready: ${redact(waitingFor)}`;
  }
  if (report.replicas.some(({ counts }) => counts.drill?.error !== undefined)) return 'the last restore drill failed';
  const lag = lagSeconds(report, nowMs);
  if (lag === undefined) return 'not replicated yet';
  return lag * 1000 > maxLagMs ? `last replicated ${Math.round(lag)} s ago` : undefined;
}

/** The files of one replica: listed at the backend only for a request, and cached. */
async function files({ daemon, listings }: PageContext, query: URLSearchParams): Promise<Page> {
  const database = daemon.find(query.get('path') ?? '');
  const replica = database?.running?.replicas[Number(query.get('replica') ?? '0')];
  if (replica === undefined) return json(404, { error: 'no such database or replica, or it is stopped' });
  return json(200, { levels: await listings.of(replica.open.client) });
}

function json(status: number, value: object): Page {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}
