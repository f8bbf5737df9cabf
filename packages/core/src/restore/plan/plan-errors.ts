/** Errors for a chain of files that does not reach its target, with what the replica does hold. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../../storage/contract/contract.ts';
import { LitestreamError } from '../../util/error.ts';
import { extendChain, isEligible, newestSnapshot } from './chain.ts';
import type { RestoreTarget } from './chain.ts';

/** The error for `chain`, or undefined if it reaches the target. */
export function chainError(
  files: readonly LtxFileInfo[],
  chain: readonly LtxFileInfo[],
  target: RestoreTarget,
  nowMs: number,
): LitestreamError | undefined {
  if (files.length === 0) {
    return new LitestreamError('the replica holds no backups', {
      code: 'REPLICA_EMPTY',
      operation: 'restore',
      hint: 'Check the replica URL, and that replication to it has run at least once.',
    });
  }
  const bases = files.filter((file) => file.minTxid === 1n);
  if (bases.length === 0) return noBase(files);
  const reached = chain.at(-1)?.maxTxid ?? 0n;
  if (target.txid !== undefined) return reached === target.txid ? undefined : txidError(files, reached, target.txid);
  if (target.timestamp === undefined) return gapAfter(files, reached, {});
  const timeMs = target.timestamp.getTime();
  if (chain.length === 0 || timeMs > Math.max(nowMs, maxOf(files.map((file) => file.timestamp.getTime())))) {
    return timestampError(files, bases, timeMs);
  }
  return gapAfter(files, reached, target);
}

/** The highest TXID that can be restored, 0 if there is none. */
function newestReachable(files: readonly LtxFileInfo[]): TXID {
  const from = newestSnapshot(files, {})?.maxTxid ?? 0n;
  return extendChain(files, from, {}).at(-1)?.maxTxid ?? from;
}

function noBase(files: readonly LtxFileInfo[]): LitestreamError {
  const first = minTxidOf(files.map((file) => file.minTxid));
  return new LitestreamError(
    `the replica has a gap: its first file starts at TXID ${formatTxid(first)} and no snapshot comes before it`,
    {
      code: 'REPLICA_GAP',
      operation: 'restore',
      hint: 'A restore needs a file that starts at TXID 1. Let replication write a snapshot.',
    },
  );
}

/** A gap matters only if a file behind it would have been part of the chain. */
function gapAfter(files: readonly LtxFileInfo[], reached: TXID, target: RestoreTarget): LitestreamError | undefined {
  // Times of neighbouring files may be out of order, so a file that is left out because of its time is no gap.
  const covered = extendChain(files, reached, {}).at(-1)?.maxTxid ?? reached;
  const beyond = files.filter((file) => file.minTxid > covered + 1n && isEligible(file, target));
  return beyond.length === 0 ? undefined : gapError(covered, minTxidOf(beyond.map((file) => file.minTxid)));
}

function gapError(before: TXID, after: TXID): LitestreamError {
  return new LitestreamError(
    `the replica has a gap: it is whole up to TXID ${formatTxid(before)}, and its next file starts at ${formatTxid(after)}`,
    {
      code: 'REPLICA_GAP',
      operation: 'restore',
      hint: `Restore TXID ${formatTxid(before)} for the state before the gap.`,
    },
  );
}

function txidError(files: readonly LtxFileInfo[], reached: TXID, txid: TXID): LitestreamError {
  const newest = newestReachable(files);
  const highest = files.reduce((max, file) => (file.maxTxid > max ? file.maxTxid : max), 0n);
  const earliest = minTxidOf(files.filter((file) => file.minTxid === 1n).map((file) => file.maxTxid));
  if (txid > newest && txid <= highest) {
    const behind = files.filter((file) => file.minTxid > newest + 1n);
    if (behind.length > 0) return gapError(newest, minTxidOf(behind.map((file) => file.minTxid)));
  }
  const range = `the replica reaches from ${formatTxid(earliest)} to ${formatTxid(newest)}`;
  if (txid < earliest || txid > newest) {
    return new LitestreamError(`TXID ${formatTxid(txid)} is not in the replica: ${range}`, {
      code: 'TXID_OUT_OF_RANGE',
      operation: 'restore',
      hint: `Restore a TXID from ${formatTxid(earliest)} to ${formatTxid(newest)}.`,
    });
  }
  const next = nextRestorable(files, txid);
  return new LitestreamError(
    `TXID ${formatTxid(txid)} cannot be restored by itself any more, compaction has merged it with its neighbours; ${range}`,
    {
      code: 'TXID_OUT_OF_RANGE',
      operation: 'restore',
      hint: `The nearest that can be restored are ${[reached, next]
        .filter((near) => near > 0n)
        .map(formatTxid)
        .join(' and ')}.`,
    },
  );
}

/** The lowest TXID above `txid` at which a chain of complete files ends, 0 if there is none. */
function nextRestorable(files: readonly LtxFileInfo[], txid: TXID): TXID {
  const ends = files.map((file) => file.maxTxid).filter((end) => end > txid);
  for (const end of ends.sort((a, b) => (a < b ? -1 : 1))) {
    const from = newestSnapshot(files, { txid: end })?.maxTxid ?? 0n;
    if ((extendChain(files, from, { txid: end }).at(-1)?.maxTxid ?? from) === end) return end;
  }
  return 0n;
}

function timestampError(files: readonly LtxFileInfo[], bases: readonly LtxFileInfo[], timeMs: number): LitestreamError {
  const earliest = new Date(-maxOf(bases.map((file) => -file.timestamp.getTime()))).toISOString();
  const latest = new Date(maxOf(files.map((file) => file.timestamp.getTime()))).toISOString();
  return new LitestreamError(
    `time ${new Date(timeMs).toISOString()} is not in the replica: it reaches from ${earliest} to ${latest}`,
    {
      code: 'TIMESTAMP_OUT_OF_RANGE',
      operation: 'restore',
      hint: `Restore a time from ${earliest} to ${latest}.`,
    },
  );
}

function maxOf(values: readonly number[]): number {
  return values.reduce((max, value) => Math.max(max, value), -Infinity);
}

function minTxidOf(values: readonly TXID[]): TXID {
  return values.reduce((min, value) => (value < min ? value : min));
}
