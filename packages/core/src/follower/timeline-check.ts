/** Do the files of a replica continue what a copy holds, or are they another database's with the same TXIDs? */
import { encodeHeader, formatTxid, isLtxError } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileInfo } from '../storage/contract/contract.ts';
import { readLtxHeader } from '../storage/reading/read-header.ts';
import { hasCode } from '../util/error.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import { ltxName } from '../restore/read/ltx-errors.ts';
import { listAll } from './next-step.ts';
import type { StepContext } from './next-step.ts';
import type { TargetRecord } from '../restore/write/target-record.ts';

/**
 * Undefined if the replica still holds the file that the copy ends with, or what was merged from it; otherwise why the
 * copy cannot go on from there. One read of 100 bytes, and a listing only where that file is gone.
 */
export async function otherTimelineReason(context: StepContext, record: TargetRecord): Promise<string | undefined> {
  const { txid, level, minTxid, size, header } = record;
  const file: LtxFileInfo = { level, minTxid, maxTxid: txid, size, timestamp: new Date(header.timestampMs) };
  const found = await lookAt(context, file);
  if (found === 'changed') return `${ltxName(file)} is another file than the one that the copy ends with`;
  if (found !== undefined) {
    const isSame = Buffer.compare(encodeHeader(found), encodeHeader(header)) === 0;
    return isSame ? undefined : `${ltxName(file)} is another file than the one that the copy ends with`;
  }
  const covering = (await listAll(context)).filter(
    (other) => other.level !== SNAPSHOT_LEVEL && other.minTxid <= txid && other.maxTxid >= txid,
  );
  // One that ends there tells most, and so do those of low levels, which come first.
  covering.sort((a, b) => Number(b.maxTxid === txid) - Number(a.maxTxid === txid));
  for (const other of covering) {
    const merged = await lookAt(context, other);
    if (merged === undefined || merged === 'changed') continue;
    return covers(merged, record) ? undefined : `${ltxName(other)} does not hold what the copy ends with`;
  }
  return `no file of the replica tells whether it continues TXID ${formatTxid(txid)} of the copy`;
}

/** Does a listing give reason to ask? That is free, so it may be asked where nothing is new. */
export function looksLikeOtherTimeline(
  { client }: StepContext,
  listed: readonly LtxFileInfo[],
  record: TargetRecord,
): boolean {
  const { timestamps, timestampResolutionMs = 1 } = client.capabilities;
  return listed.some((file) => {
    if (file.level !== record.level || file.minTxid !== record.minTxid || file.maxTxid !== record.txid) return false;
    if (file.size !== record.size) return true;
    const differenceMs = Math.abs(file.timestamp.getTime() - record.header.timestampMs);
    return timestamps === 'listing' && differenceMs >= timestampResolutionMs;
  });
}

/** By the times of the commits in it: a database that took the other's place began after the last one of that. */
function covers(merged: LtxHeader, { txid, header }: TargetRecord): boolean {
  const atMs = header.timestampMs;
  if (merged.maxTxid === txid) return merged.timestampMs === atMs;
  const createdAtMs = merged.extension?.createdAtMs ?? Number.NEGATIVE_INFINITY;
  return createdAtMs <= atMs && atMs <= merged.timestampMs;
}

/** Undefined for a file that is gone, or has no header that could be compared. */
async function lookAt({ client, signal }: StepContext, file: LtxFileInfo): Promise<LtxHeader | 'changed' | undefined> {
  try {
    return await readLtxHeader(client, file, { signal });
  } catch (error) {
    if (hasCode(error, 'OBJECT_CHANGED')) return 'changed';
    if (hasCode(error, 'NOT_FOUND') || isLtxError(error)) return undefined;
    throw error;
  }
}
