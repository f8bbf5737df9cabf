/** Metrics of restore drills. They have no samples before the first drill of a replica. */
import type { DrillStatus } from '@litestream/core';
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { redact } from '../util/secrets.ts';
import type { DatabaseReport } from '../daemon/services/report.ts';

const REPLICA = ['db', 'replica'] as const;

const GAUGES: readonly (readonly [string, string, (status: DrillStatus) => number | undefined])[] = [
  [
    'last_drill_success',
    '1 if the last restore drill succeeded, 0 if not.',
    ({ error }) => (error === undefined ? 1 : 0),
  ],
  [
    'last_drill_success_timestamp_seconds',
    'When a restore drill last succeeded, in seconds since 1970; 0 if none has.',
    ({ succeededAt }) => (succeededAt?.getTime() ?? 0) / 1000,
  ],
  [
    'last_drill_txid',
    'Transaction of the last restore drill that succeeded.',
    ({ result }) => (result === undefined ? undefined : Number(result.txid)),
  ],
  [
    'last_drill_duration_seconds',
    'How long the last restore drill that succeeded took.',
    ({ result }) => (result === undefined ? undefined : result.durationMs / 1000),
  ],
];

export function collectDrills(registry: Registry, report: () => readonly DatabaseReport[]): void {
  registry.registerMetric(
    new Counter({
      name: 'litestream_drills_total',
      help: 'Restore drills, by result: success or failure.',
      labelNames: [...REPLICA, 'result'],
      registers: [],
      collect() {
        this.reset();
        for (const { labels, status } of samples(report())) {
          this.inc({ ...labels, result: 'success' }, status.succeeded);
          this.inc({ ...labels, result: 'failure' }, status.failed);
        }
      },
    }),
  );
  for (const [name, help, value] of GAUGES) {
    registry.registerMetric(
      new Gauge({
        name: `litestream_${name}`,
        help,
        labelNames: REPLICA,
        registers: [],
        collect() {
          this.reset();
          for (const { labels, status } of samples(report())) {
            const number = value(status);
            if (number !== undefined) this.set(labels, number);
          }
        },
      }),
    );
  }
}

interface Sample {
  readonly labels: { readonly db: string; readonly replica: string };
  readonly status: DrillStatus;
}

function samples(databases: readonly DatabaseReport[]): Sample[] {
  return databases.flatMap(({ path: db, replicas }) =>
    replicas.flatMap(({ text, counts: { drill } }) =>
      drill === undefined ? [] : [{ labels: { db, replica: redact(text) }, status: drill }],
    ),
  );
}
