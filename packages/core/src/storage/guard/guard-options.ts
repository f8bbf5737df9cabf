import type { LitestreamErrorCode } from '../../util/error.ts';
import type { LogFields, Logger } from '../../util/logger.ts';
import type { RetryPolicy } from '../../util/backoff.ts';
import type { Clock } from '../../util/clock.ts';

/** Names of a client's operations, for metrics, timeouts and errors. */
export type ClientOperation =
  | 'init'
  | 'ltxFiles'
  | 'openLtxFile'
  | 'writeLtxFile'
  | 'deleteLtxFiles'
  | 'deleteAll'
  | 'objects.list'
  | 'objects.open'
  | 'objects.put'
  | 'objects.delete';

/** The `operation` label of `litestream_replica_operation_*`, as in Litestream (Go). */
export type OperationKind = 'INIT' | 'LIST' | 'GET' | 'PUT' | 'DELETE';

export const OPERATION_KINDS: Readonly<Record<ClientOperation, OperationKind>> = {
  init: 'INIT',
  ltxFiles: 'LIST',
  openLtxFile: 'GET',
  writeLtxFile: 'PUT',
  deleteLtxFiles: 'DELETE',
  deleteAll: 'DELETE',
  'objects.list': 'LIST',
  'objects.open': 'GET',
  'objects.put': 'PUT',
  'objects.delete': 'DELETE',
};

/** One finished attempt at an operation. For reads and listings it is reported when their iteration ends. */
export interface OperationEvent {
  readonly backend: string;
  readonly operation: ClientOperation;
  readonly kind: OperationKind;
  readonly durationMs: number;
  /** Bytes of bodies that were transferred. */
  readonly bytes: number;
  /** Objects concerned: deleted, or listed. */
  readonly count: number;
  /** 1 for the first call, more for retries. */
  readonly attempt: number;
  /** Undefined if it succeeded. */
  readonly code?: LitestreamErrorCode | undefined;
}

/** How long an operation may make no progress, in milliseconds. */
export type OperationTimeouts = Readonly<Record<ClientOperation | 'body', number>>;

export const DEFAULT_TIMEOUTS: OperationTimeouts = {
  init: 60_000,
  ltxFiles: 60_000,
  openLtxFile: 60_000,
  // Time between two chunks of a body that is read.
  body: 30_000,
  // An SDK buffers whole parts and then sends each without reporting progress: 20 MB at 1 Mbit/s take 160 s.
  writeLtxFile: 300_000,
  // Per batch of at most 1,000 files, one request each on some backends.
  deleteLtxFiles: 300_000,
  deleteAll: 1_800_000,
  'objects.list': 60_000,
  'objects.open': 60_000,
  'objects.put': 60_000,
  'objects.delete': 60_000,
};

export interface GuardOptions {
  readonly retry?: Partial<RetryPolicy> | undefined;
  readonly timeoutsMs?: Partial<OperationTimeouts> | undefined;
  /** Maximum number of concurrent reads and listings, and separately of writes and deletes. Default 16. */
  readonly concurrencyMax?: number | undefined;
  /** Called after each attempt. Must not throw. */
  readonly onOperation?: ((event: OperationEvent) => void) | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
  /** Spreads retries: uniform in [0, 1). Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Names of the replica and its database, for `currentClientCall`. */
  readonly labels?: LogFields | undefined;
  /** Values that must not appear in any message: `secretsOf(config)`. */
  readonly secrets?: readonly string[] | undefined;
}
