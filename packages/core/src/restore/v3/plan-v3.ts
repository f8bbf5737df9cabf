import { LitestreamError } from '../../util/error.ts';
import { timeOf } from './listing.ts';
import type { V3File, V3Listing } from './listing.ts';

/** A snapshot, and the WAL segments after it, in order. */
export interface V3Plan {
  readonly snapshot: V3File;
  readonly segments: readonly V3File[];
  /** Bytes to read. */
  readonly size: number;
}

/**
 * The choice of Litestream (Go): the newest snapshot of all generations, not after `timestamp` if one is given, and the
 * WAL of its generation from there on. Throws `TIMESTAMP_OUT_OF_RANGE`, for the future too, and `REPLICA_GAP` if
 * segments of the WAL are missing.
 */
export function planV3(listing: V3Listing, timestamp: Date | undefined, nowMs: number = Date.now()): V3Plan {
  const untilMs = timestamp?.getTime() ?? Number.POSITIVE_INFINITY;
  if (timestamp !== undefined && untilMs > nowMs) throw inFuture(listing, timestamp);
  const snapshot = listing.snapshots.findLast((file) => timeOf(file) <= untilMs);
  if (snapshot === undefined) throw noSnapshot(listing, timestamp);
  const segments = listing.segments.filter(
    (file) => file.generation === snapshot.generation && file.index >= snapshot.index && timeOf(file) <= untilMs,
  );
  checkStarts(snapshot, segments);
  const size = [snapshot, ...segments].reduce((sum, file) => sum + file.object.size, 0);
  return { snapshot, segments, size };
}

/** Only the content shows whether each segment continues the one before it: see `restore-v3.ts`. */
function checkStarts(snapshot: V3File, segments: readonly V3File[]): void {
  let index = snapshot.index - 1;
  for (const file of segments) {
    if (file.index === index) continue;
    index++;
    if (file.index !== index) throw gapV3(file, `WAL ${hex(index)} is missing`);
    if (file.offset !== 0) throw gapV3(file, `the first segment of WAL ${hex(index)} is missing`);
  }
}

export function gapV3(file: V3File, what: string): LitestreamError {
  return new LitestreamError(`the v0.3 replica has a gap before ${file.object.key}: ${what}`, {
    code: 'REPLICA_GAP',
    operation: 'restore',
    object: file.object.key,
    hint: `Restore -timestamp ${new Date(timeOf(file) - 1).toISOString()} for the state before the gap.`,
  });
}

function noSnapshot({ snapshots, segments }: V3Listing, timestamp: Date | undefined): LitestreamError {
  const first = snapshots[0];
  if (first === undefined || timestamp === undefined) {
    return new LitestreamError(`the v0.3 replica holds ${segments.length} WAL segments, but no snapshot`, {
      code: 'REPLICA_GAP',
      operation: 'restore',
      hint: 'A restore needs a snapshot to start from. Check whether a retention rule of the backend deleted it.',
    });
  }
  const earliest = first.object.lastModified.toISOString();
  return new LitestreamError(
    `time ${timestamp.toISOString()} is not in the v0.3 replica: its first snapshot is of ${earliest}`,
    { code: 'TIMESTAMP_OUT_OF_RANGE', operation: 'restore', hint: `Restore a time from ${earliest} on.` },
  );
}

function inFuture({ updatedAt }: V3Listing, timestamp: Date): LitestreamError {
  const [time, last] = [timestamp, updatedAt].map((date) => date.toISOString());
  return new LitestreamError(`time ${time} is in the future: the v0.3 replica reaches to ${last}`, {
    code: 'TIMESTAMP_OUT_OF_RANGE',
    operation: 'restore',
    hint: 'Leave the time out for the newest state.',
  });
}

function hex(index: number): string {
  return index.toString(16).padStart(8, '0');
}
