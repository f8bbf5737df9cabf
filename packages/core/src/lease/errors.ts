import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import { LitestreamError } from '../util/error.ts';
import { LEASE_KEY } from './record.ts';
import type { Lease, LeaseRecord } from './record.ts';

export function unsupportedError(
  backend: string,
  operation: string,
  why = 'this backend has no conditional writes',
): LitestreamError {
  return new LitestreamError(`${backend}: ${why}, so leases are not possible`, {
    code: 'UNSUPPORTED',
    operation,
    backend,
    hint: 'Use a replica on s3, gcs, abs or file, or make sure that only one process writes to it.',
  });
}

export function heldError(
  backend: string,
  operation: string,
  held: Lease | undefined,
  cause?: unknown,
): LitestreamError {
  return new LitestreamError(`${backend}: the lease is held by ${describeHolder(held)}`, {
    code: 'LEASE_HELD',
    operation,
    backend,
    object: LEASE_KEY,
    hint: 'Wait until it expires, or stop the process that holds it.',
    cause,
  });
}

export function unreadableError(backend: string): LitestreamError {
  return new LitestreamError(`${backend}: ${LEASE_KEY} is not a lease`, {
    code: 'LEASE_HELD',
    operation: 'acquire',
    backend,
    object: LEASE_KEY,
    hint: `Check ${LEASE_KEY} in the replica. If no process uses it, run litestream lease -break.`,
  });
}

/** Another process has the lease, or the operator broke it. This process writes nothing any more. */
export function lostError(backend: string, cause: LitestreamError): LitestreamError {
  return new LitestreamError(`this process lost its lease: ${cause.message}`, {
    code: 'LEASE_LOST',
    operation: 'renew',
    backend,
    object: LEASE_KEY,
    hint: 'Restart the process: it then waits for the lease. Commits that it has not acknowledged are only in its database file.',
    cause,
  });
}

/** The lease could not be renewed in time. No other process is known to have it. */
export function lapsedError(backend: string, cause?: unknown): LitestreamError {
  return new LitestreamError(
    `${backend}: the lease could not be renewed in time, so nothing is written to the replica`,
    {
      code: 'LEASE_LOST',
      retryable: true,
      operation: 'renew',
      backend,
      object: LEASE_KEY,
      hint: 'Replication continues when the lease can be renewed. Check the connection to the replica.',
      cause,
    },
  );
}

export function refusedError(message: string, object: string | undefined, hint: string): LitestreamError {
  return new LitestreamError(message, { code: 'PROMOTION_REFUSED', operation: 'acquire', object, hint });
}

export const BREAK_HINT = 'If you accept that the missing commits are lost, run litestream lease -break.';

/** Text that names the holder of a lease, and when the lease expires. */
export function describeHolder(lease: LeaseRecord | undefined): string {
  if (lease === undefined || lease.releasedAt !== undefined) return 'no process any more';
  if (lease.brokenAt !== undefined) return `no process since it was broken at ${lease.brokenAt.toISOString()}`;
  return `${lease.owner || 'another process'} until ${lease.expiresAt.toISOString()}`;
}

export function missingError(backend: string, end: TXID, acknowledged: TXID): LitestreamError {
  return refusedError(
    `${backend}: the replica ends at TXID ${formatTxid(end)}, but TXID ${formatTxid(acknowledged)} was acknowledged`,
    LEASE_KEY,
    `Files of the replica were deleted, or the replica was replaced by an older copy. Put the files back. ${BREAK_HINT}`,
  );
}
