/** Do the files of a replica continue a copy, or do they belong to another database with the same TXIDs? */
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
 * Undefined if the replica still holds the file that the copy ends with, or a file merged from it; otherwise why the
 * copy cannot continue from there. Costs one read of 100 bytes, and a listing only if that file is gone.
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
  // A file that ends there is the best evidence, then those of low levels, which come first.
  covering.sort((a, b) => Number(b.maxTxid === txid) - Number(a.maxTxid === txid));
  for (const other of covering) {
    const merged = await lookAt(context, other);
    if (merged === undefined || merged === 'changed') continue;
    return covers(merged, record) ? undefined : `${ltxName(other)} does not hold what the copy ends with`;
  }
  return `no file of the replica tells whether it continues TXID ${formatTxid(txid)} of the copy`;
}

/** Does a listing suggest another timeline? This costs no request, so it may be called when nothing is new. */
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

/** Decides by commit times: a database that replaced another one began after the last commit of that one. */
function covers(merged: LtxHeader, { txid, header }: TargetRecord): boolean {
  const atMs = header.timestampMs;
  if (merged.maxTxid === txid) return merged.timestampMs === atMs;
  const createdAtMs = merged.extension?.createdAtMs ?? Number.NEGATIVE_INFINITY;
  return createdAtMs <= atMs && atMs <= merged.timestampMs;
}

/** Undefined if the file is gone, or has no valid header. */
async function lookAt({ client, signal }: StepContext, file: LtxFileInfo): Promise<LtxHeader | 'changed' | undefined> {
  try {
    return await readLtxHeader(client, file, { signal });
  } catch (error) {
    if (hasCode(error, 'OBJECT_CHANGED')) return 'changed';
    if (hasCode(error, 'NOT_FOUND') || isLtxError(error)) return undefined;
    throw error;
  }
}
