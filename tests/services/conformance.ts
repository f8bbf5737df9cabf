/** Runs the conformance suite on a running service. */
import type { ReplicaClient } from '@litestream/core';
import { CASE_GROUPS, runConformance } from '@litestream/core/conformance';
import type { CaseResult } from '@litestream/core/conformance';

import { createClient } from './clients.ts';
import type { Changes, RunningService, Service } from './service.ts';

/** Cases of one group, repetitions included. `cannot` are those the server fails whatever the client does. */
export interface GroupCounts {
  readonly passed: number;
  readonly skipped: number;
  readonly cannot: number;
  readonly failed: number;
}

/** How it went; `problems` are failures nobody announced, and announced ones that did not come. */
export interface ConformanceResult {
  readonly groups: Readonly<Record<string, GroupCounts>>;
  /** The same by the names of cases. */
  readonly cases: Readonly<Record<string, GroupCounts>>;
  /** Requirements that were not met, for each case that was skipped. */
  readonly lacks: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

export async function runSuite(service: Service, running: RunningService): Promise<ConformanceResult> {
  const { deviations = {}, races = [], broken = {} } = running;
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
    // Servers differ in speed by a factor of a hundred, and so do machines.
    timeoutMs: 600_000,
  });
  const { results, seed } = report;
  const cannot = (result: CaseResult): boolean => result.outcome === 'failed' && deviations[result.name] !== undefined;
  const failed = (result: CaseResult): boolean => result.outcome === 'failed' && !cannot(result);
  const missed = Object.keys(deviations).filter(
    (name) => !races.includes(name) && !results.some((one) => one.name === name && cannot(one)),
  );
  const countsOf = (names: readonly string[]): GroupCounts => {
    const mine = results.filter(({ name }) => names.includes(name));
    return {
      passed: mine.filter(({ outcome }) => outcome === 'passed').length,
      skipped: mine.filter(({ outcome }) => outcome === 'skipped').length,
      cannot: mine.filter(cannot).length,
      failed: mine.filter(failed).length,
    };
  };
  const groups = Object.entries(CASE_GROUPS).map(([group, cases]) => [group, countsOf(cases.map(({ name }) => name))]);
  const names = Object.values(CASE_GROUPS).flatMap((cases) => cases.map(({ name }) => name));
  return {
    groups: Object.fromEntries(groups) as Record<string, GroupCounts>,
    cases: Object.fromEntries(names.map((name) => [name, countsOf([name])])),
    lacks: Object.fromEntries(
      results.filter(({ outcome }) => outcome === 'skipped').map(({ name, lacks = [] }) => [name, lacks.join(', ')]),
    ),
    problems: [
      ...results
        .filter(failed)
        .map(({ name, variation, error }) => `${variation}: ${name}: ${String(error)} (seed ${seed})`),
      ...missed.map((name) => `announced as a deviation of the server, but passed: ${name}`),
    ],
  };
}
