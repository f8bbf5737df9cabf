import type { LeaseStatus } from '@litestream/core';
import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { redact } from '../util/secrets.ts';
import type { DatabaseReport } from '../daemon/services/report.ts';

/** Metrics of replicas that are written under a lease. */
const VALUES: readonly (readonly [string, string, (status: LeaseStatus) => number | undefined])[] = [
  ['lease_held', '1 while this process holds the lease of the replica.', ({ state }) => (state === 'held' ? 1 : 0)],
  ['lease_lost', '1 once another process has taken the lease.', ({ state }) => (state === 'lost' ? 1 : 0)],
  ['lease_generation', 'Generation of the lease, as last seen.', ({ lease }) => lease?.generation],
  [
    'lease_expiry_timestamp_seconds',
    'When the lease expires unless it is renewed, in seconds since 1970.',
    ({ lease }) => (lease === undefined ? undefined : lease.expiresAt.getTime() / 1000),
  ],
];

export function collectLeases(registry: Registry, report: () => readonly DatabaseReport[]): void {
  for (const [name, help, value] of VALUES) {
    registry.registerMetric(
      new Gauge({
        name: `litestream_${name}`,
        help,
        labelNames: ['db', 'replica'],
        registers: [],
        collect() {
          this.reset();
          for (const { path: db, replicas } of report()) {
            for (const { lease, text } of replicas) {
              const number = lease === undefined ? undefined : value(lease);
              if (number !== undefined) this.set({ db, replica: redact(text) }, number);
            }
          }
        },
      }),
    );
  }
}
