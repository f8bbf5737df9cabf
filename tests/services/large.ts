/** The conformance case about an object of the size class of 5 GiB, on a running service: streamed, in bounded memory. */
import { CASE_GROUPS, runConformance } from '@litestream/core/conformance';

import { createClient } from './clients.ts';
import type { RunningService, Service } from './service.ts';

/** More than S3 takes in one request, more than 32 bits count, and no multiple of any part. */
const SIZE = 5 * 2 ** 30 + 2 ** 20 + 17;

export interface LargeResult {
  readonly size: number;
  /** To store it, read it back and compare every byte. */
  readonly seconds: number;
  /** How much the process with the client grew, at most. */
  readonly grownMiB: number;
}

/** Rejects if a byte differs, or memory grows with the object. */
export async function runLarge(service: Service, running: RunningService): Promise<LargeResult> {
  const before = process.memoryUsage.rss();
  let highest = before;
  const sampler = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), 100);
  try {
    const { results } = await runConformance({
      name: `${service.backend} on ${service.name}`,
      client: (path) => createClient(running, path),
      cases: CASE_GROUPS['large'] ?? [],
      largeSize: SIZE,
    });
    const [result] = results;
    if (result === undefined || results.length !== 1) throw new Error(`${results.length} cases about a large object`);
    if (result.outcome !== 'passed') throw new Error(`a large object ${result.outcome}`, { cause: result.error });
    return {
      size: SIZE,
      seconds: Math.round(result.durationMs / 1000),
      grownMiB: Math.round((highest - before) / 2 ** 20),
    };
  } finally {
    clearInterval(sampler);
  }
}
