/** The validation metrics of Litestream (Go), by database and level. They have no samples before the first check. */
import type { ValidationOutcome } from '@litestream/core';
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { DatabaseReport } from '../daemon/services/report.ts';

const LEVEL = ['db', 'level'] as const;
const RESULTS = ['success', 'invalid', 'error'] as const;

interface Sample {
  readonly labels: { readonly db: string; readonly level: string };
  /** One for each replica. */
  readonly outcomes: readonly ValidationOutcome[];
}

export function collectValidation(registry: Registry, report: () => readonly DatabaseReport[]): void {
  registry.registerMetric(
    new Counter({
      name: 'litestream_validation_checks_total',
      help: 'Checks of replicas, by result: success, invalid or error.',
      labelNames: [...LEVEL, 'result'],
      registers: [],
      collect() {
        this.reset();
        for (const { labels, outcomes } of samples(report())) {
          for (const result of RESULTS) {
            const count = outcomes.reduce((sum, outcome) => sum + outcome[result], 0);
            if (count > 0) this.inc({ ...labels, result }, count);
          }
        }
      },
    }),
  );
  const gauges = [
    [
      'litestream_last_validation_success',
      'Whether the last check succeeded (1) or failed (0); with several replicas, whether all of their last checks succeeded.',
      (outcomes: readonly ValidationOutcome[]) => (outcomes.every(({ lastSucceeded }) => lastSucceeded) ? 1 : 0),
    ],
    [
      'litestream_last_validation_success_timestamp_seconds',
      'Unix time of the last check that succeeded, 0 until one has; of several replicas, the earliest.',
      (outcomes: readonly ValidationOutcome[]) =>
        Math.min(...outcomes.map(({ lastSuccessAt }) => (lastSuccessAt?.getTime() ?? 0) / 1000)),
    ],
  ] as const;
  for (const [name, help, value] of gauges) {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: LEVEL,
        registers: [],
        collect() {
          this.reset();
          for (const { labels, outcomes } of samples(report())) this.set(labels, value(outcomes));
        },
      }),
    );
  }
}

function samples(databases: readonly DatabaseReport[]): Sample[] {
  return databases.flatMap(({ path: db, replicas }) => {
    const levels = new Set(replicas.flatMap(({ counts }) => [...counts.validation.keys()]));
    return [...levels].map((level) => ({
      labels: { db, level: String(level) },
      outcomes: replicas.flatMap(({ counts }) => counts.validation.get(level) ?? []),
    }));
  });
}
