/** Prometheus metrics: the names and labels of Litestream (Go), and some more. Most are read from the daemon at each scrape. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { statSync } from 'node:fs';
import { hasCode } from '@litestream/core';
import type { OperationEvent } from '@litestream/core';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DatabaseReport } from '../daemon/services/report.ts';
import { collectDrills } from './drill-metrics.ts';
import { collectLeases } from './lease-metrics.ts';
import { collectValidation } from './validation-metrics.ts';

const OPERATION = ['replica_type', 'operation'] as const;
const NS_PER_S = 1e9;

/** The metrics of one process. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #operations: {
    readonly total: Counter<(typeof OPERATION)[number]>;
    readonly bytes: Counter<(typeof OPERATION)[number]>;
    readonly seconds: Histogram<(typeof OPERATION)[number]>;
    readonly errors: Counter<(typeof OPERATION)[number] | 'code'>;
  };
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });

  /** @param report Returns the current state of the databases. */
  constructor(report: () => readonly DatabaseReport[]) {
    const registers = [this.#registry];
    this.#operations = {
      total: new Counter({
        name: 'litestream_replica_operation_total',
        help: 'Calls of storage backends, retries included.',
        labelNames: OPERATION,
        registers,
      }),
      bytes: new Counter({
        name: 'litestream_replica_operation_bytes',
        help: 'Bytes read from and written to storage backends.',
        labelNames: OPERATION,
        registers,
      }),
      seconds: new Histogram({
        name: 'litestream_replica_operation_duration_seconds',
        help: 'How long calls of storage backends took.',
        labelNames: OPERATION,
        buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60],
        registers,
      }),
      errors: new Counter({
        name: 'litestream_replica_operation_errors_total',
        help: 'Calls of storage backends that failed, by what kind of failure it was.',
        labelNames: [...OPERATION, 'code'],
        registers,
      }),
    };
    this.#delay.enable();
    this.#collect(report);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Counts a call of a backend. */
  readonly onOperation = ({ backend, kind, durationMs, bytes, code }: OperationEvent): void => {
    const labels = { replica_type: backend, operation: kind };
    this.#operations.total.inc(labels);
    if (bytes > 0) this.#operations.bytes.inc(labels, bytes);
    this.#operations.seconds.observe(labels, durationMs / 1000);
    if (code !== undefined) this.#operations.errors.inc({ ...labels, code });
  };

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** Stopped and removed databases have no samples. */
  #collect(reportAll: () => readonly DatabaseReport[]): void {
    const report = (): readonly DatabaseReport[] => reportAll().filter(({ state }) => state !== 'stopped');
    /** One value a database. The metric forgets databases that are gone. */
    const perDatabase = (name: string, help: string, value: (database: DatabaseReport) => number | undefined): void => {
      this.#registry.registerMetric(
        new Gauge({
          name: `litestream_${name}`,
          help,
          labelNames: ['db'],
          registers: [],
          collect() {
            this.reset();
            for (const database of report()) {
              const number = value(database);
              if (number !== undefined) this.set({ db: database.path }, number);
            }
          },
        }),
      );
    };
    /** The same for a counter. */
    const perDatabaseTotal = (name: string, help: string, value: (database: DatabaseReport) => number): void => {
      this.#registry.registerMetric(
        new Counter({
          name: `litestream_${name}`,
          help,
          labelNames: ['db'],
          registers: [],
          collect() {
            this.reset();
            for (const database of report()) this.inc({ db: database.path }, value(database));
          },
        }),
      );
    };

    perDatabase('db_size', 'Size of the database file, in bytes.', ({ path }) => fileSize(path));
    perDatabase('wal_size', 'Bytes of the write-ahead log in use.', ({ db }) => db?.walSize);
    perDatabase('txid', 'Last transaction in the local files.', ({ txid }) => Number(txid));
    perDatabase('disk_full', '1 while replication waits for room on the local disk.', ({ lastError }) =>
      hasCode(lastError, 'DISK_FULL') ? 1 : 0,
    );
    perDatabase('sync_lag_seconds', 'Time since every replica was last known to have everything.', lagSeconds);
    perDatabase('queue_depth', 'Transactions that the slowest replica has still to get.', queueDepth);
    perDatabase(
      'proven_txid',
      'Transaction at which all pages were last compared with what was replicated.',
      ({ db }) => (db?.proof === undefined ? undefined : Number(db.proof.txid)),
    );
    perDatabase(
      'proven_timestamp_seconds',
      'When all pages were last compared with what was replicated, in seconds since 1970.',
      ({ db }) => (db?.proof === undefined ? undefined : db.proof.at.getTime() / 1000),
    );
    perDatabaseTotal(
      'total_wal_bytes',
      'Bytes of the write-ahead log that were replicated.',
      ({ db }) => db?.totals.walBytes ?? 0,
    );
    perDatabaseTotal('sync_count', 'Looks at the database for something new.', ({ db }) => db?.totals.sync.count ?? 0);
    perDatabaseTotal('sync_error_count', 'Those that failed.', ({ db }) => db?.totals.sync.errors ?? 0);
    perDatabaseTotal('sync_seconds', 'Time they took.', ({ db }) => (db?.totals.sync.durationMs ?? 0) / 1000);
    perDatabaseTotal('compaction_verify_error_count', 'Faults found after compactions.', ({ replicas }) =>
      replicas.reduce((total, { counts }) => total + counts.verifyErrors, 0),
    );
    collectLeases(this.#registry, report);
    collectDrills(this.#registry, report);
    this.#collectCheckpoints(report);
    this.#collectLevel0(report);
    collectValidation(this.#registry, report);
    this.#collectProcess();
  }

  #collectCheckpoints(report: () => readonly DatabaseReport[]): void {
    const fields = [
      ['checkpoint_count', 'Checkpoints.', 'count', 1],
      ['checkpoint_error_count', 'Checkpoints that failed.', 'errors', 1],
      ['checkpoint_seconds', 'Time checkpoints took.', 'durationMs', 1000],
    ] as const;
    for (const [name, help, field, divisor] of fields) {
      this.#registry.registerMetric(
        new Counter({
          name: `litestream_${name}`,
          help,
          labelNames: ['db', 'mode'],
          registers: [],
          collect() {
            this.reset();
            for (const { path, db } of report()) {
              for (const [mode, totals] of Object.entries(db?.totals.checkpoints ?? {})) {
                this.inc({ db: path, mode }, totals[field] / divisor);
              }
            }
          },
        }),
      );
    }
  }

  #collectLevel0(report: () => readonly DatabaseReport[]): void {
    this.#registry.registerMetric(
      new Gauge({
        name: 'litestream_l0_retention_files_total',
        help: 'Files of level 0 on the replicas, as retention last found them.',
        labelNames: ['db', 'status'],
        registers: [],
        collect() {
          this.reset();
          for (const { path: db, replicas } of report()) {
            for (const { counts } of replicas) {
              this.inc({ db, status: 'eligible' }, counts.level0.eligible);
              this.inc({ db, status: 'not_compacted' }, counts.level0.notCompacted);
              this.inc({ db, status: 'too_recent' }, counts.level0.tooRecent);
            }
          }
        },
      }),
    );
  }

  #collectProcess(): void {
    const delay = this.#delay;
    this.#registry.registerMetric(
      new Gauge({
        name: 'litestream_event_loop_delay_seconds',
        help: 'How late timers of the process were since the last scrape.',
        labelNames: ['quantile'],
        registers: [],
        collect() {
          for (const quantile of [50, 99])
            this.set({ quantile: String(quantile / 100) }, delay.percentile(quantile) / NS_PER_S);
          this.set({ quantile: '1' }, delay.max / NS_PER_S);
          delay.reset();
        },
      }),
    );
    this.#registry.registerMetric(
      new Gauge({
        name: 'process_resident_memory_bytes',
        help: 'Memory of the process.',
        registers: [],
        collect() {
          this.set(process.memoryUsage.rss());
        },
      }),
    );
  }
}

/** `stat` takes no lock and drops none. */
function fileSize(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

/** Seconds since all replicas were last known to have all commits. A sync that still runs does not make it smaller. */
export function lagSeconds({ lastSyncAt, db }: DatabaseReport, nowMs: number = Date.now()): number | undefined {
  if (db === undefined || lastSyncAt === undefined) return undefined;
  return Math.max(0, (nowMs - lastSyncAt.getTime()) / 1000);
}

function queueDepth({ txid, replicas }: DatabaseReport): number | undefined {
  if (replicas.length === 0) return undefined;
  return Math.max(...replicas.map((replica) => Number(txid - replica.txid)), 0);
}
