/** Runs the conformance suite on a running service. */
import type { ReplicaClient } from '@litestream/core';
import { runConformance } from '@litestream/core/conformance';

import { createClient } from './clients.ts';
import type { Changes, RunningService, Service } from './service.ts';

/** How it went; `problems` are failures nobody announced, and announced ones that did not come. */
export interface ConformanceResult {
  readonly ran: number;
  readonly skipped: number;
  readonly deviated: number;
  readonly problems: readonly string[];
}

export async function runSuite(service: Service, running: RunningService): Promise<ConformanceResult> {
  const { deviations = {}, broken = {} } = running;
  const open =
    ({ config = {}, env = {} }: Changes = {}) =>
    (path: string): Promise<ReplicaClient> =>
      createClient({ ...running, config: { ...running.config, ...config }, env: { ...running.env, ...env } }, path);
  const { wrongCredentials, missingBucket, unreachable } = broken;
  const report = await runConformance({
    name: `${service.backend} on ${service.name}`,
    client: open(),
    wrongCredentials: wrongCredentials === undefined ? undefined : open(wrongCredentials),
    missingBucket: missingBucket === undefined ? undefined : open(missingBucket),
    unreachable: unreachable === undefined ? undefined : open(unreachable),
    fileCount: running.fileCount,
  });
  const failed = report.results.filter((result) => result.outcome === 'failed');
  const unannounced = failed.filter((result) => deviations[result.name] === undefined);
  const missed = Object.keys(deviations).filter((name) => !failed.some((result) => result.name === name));
  const skipped = report.results.filter((result) => result.outcome === 'skipped').length;
  return {
    ran: report.results.length - skipped,
    skipped,
    deviated: failed.length - unannounced.length,
    problems: [
      ...unannounced.map(
        ({ name, variation, error }) => `${variation}: ${name}: ${String(error)} (seed ${report.seed})`,
      ),
      ...missed.map((name) => `announced as a deviation of the server, but passed: ${name}`),
    ],
  };
}
