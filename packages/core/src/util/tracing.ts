/**
 * Publishes operations on channels of `node:diagnostics_channel`, for OpenTelemetry and other tracers. Each operation
 * has the five events of a `TracingChannel`, `tracing:litestream:upload:start` and so on. Without a subscriber, an
 * operation costs one check of a flag.
 */
import { tracingChannel } from 'node:diagnostics_channel';
import type { TracingChannel } from 'node:diagnostics_channel';

/** The operations; the channels are called `litestream:<operation>`. */
export const TRACED_OPERATIONS = [
  'sync',
  'upload',
  'checkpoint',
  'compaction',
  'snapshot',
  'restore',
  'follow',
] as const;

export type TracedOperation = (typeof TRACED_OPERATIONS)[number];

/** The message of every event of an operation: the same object from `start` on. Node adds `result` or `error`. */
export interface TraceMessage {
  readonly operation: TracedOperation;
  /** Facts at the start of the operation: `path`, `replica`, `level`, `txid`, … Never a credential. */
  readonly facts: Readonly<Record<string, unknown>>;
  result?: unknown;
  error?: unknown;
}

const channels = Object.fromEntries(
  TRACED_OPERATIONS.map((operation) => [operation, tracingChannel(`litestream:${operation}`)]),
) as Readonly<Record<TracedOperation, TracingChannel<TraceMessage, TraceMessage>>>;

/** The channel of an operation, to subscribe to. */
export function litestreamChannel(operation: TracedOperation): TracingChannel<TraceMessage, TraceMessage> {
  return channels[operation];
}

/** Runs the work, and publishes its start, end and failure. */
export async function traced<T>(
  operation: TracedOperation,
  facts: () => Record<string, unknown>,
  work: () => Promise<T>,
): Promise<T> {
  const channel = channels[operation];
  if (!channel.hasSubscribers) return await work();
  return await channel.tracePromise(work, { operation, facts: facts() });
}

/** The same for synchronous work. */
export function tracedSync<T>(operation: TracedOperation, facts: () => Record<string, unknown>, work: () => T): T {
  const channel = channels[operation];
  if (!channel.hasSubscribers) return work();
  return channel.traceSync(work, { operation, facts: facts() });
}
