import { isDeepStrictEqual } from 'node:util';
import { LitestreamError } from '../util/error.ts';
import { isClient } from './composition/client-factory.ts';
import type { ReplicaTarget } from './composition/client-factory.ts';

/** The replicas of a call of `replicate`. Throws `INVALID_ARGUMENT` if there is none, or if one is given twice. */
export function targetsOf(
  given: ReplicaTarget | readonly ReplicaTarget[],
  options: unknown,
  path: string,
): readonly ReplicaTarget[] {
  // JavaScript without types may pass each replica as an argument.
  if (typeof options !== 'object')
    throw invalid(
      'several replicas must be a list',
      path,
      "Pass an array: replicate('app.db', ['s3://…', 'file:///…']).",
    );
  const targets: readonly ReplicaTarget[] = isList(given) ? given : [given];
  if (targets.length === 0) throw invalid('a database needs at least one replica', path);
  for (const [index, target] of targets.entries()) {
    if (targets.slice(0, index).some((other) => isSame(other, target)))
      throw invalid('a replica is given twice', path, 'Remove one of them: both would write the same files.');
  }
  return targets;
}

function isList(given: ReplicaTarget | readonly ReplicaTarget[]): given is readonly ReplicaTarget[] {
  return Array.isArray(given);
}

function isSame(a: ReplicaTarget, b: ReplicaTarget): boolean {
  if (a === b) return true;
  if (typeof a === 'string' || typeof b === 'string' || isClient(a) || isClient(b)) return false;
  return isDeepStrictEqual(a, b);
}

function invalid(message: string, object: string, hint?: string): LitestreamError {
  return new LitestreamError(message, { code: 'INVALID_ARGUMENT', operation: 'replicate', object, hint });
}
