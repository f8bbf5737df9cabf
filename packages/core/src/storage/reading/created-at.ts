/** Adds the time of the earliest transaction to the files of a listing. */
import { isLtxError } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import { hasCode } from '../../util/error.ts';
import { forEachBounded } from '../../util/bounded.ts';
import type { LtxFileInfo, Op, ReplicaClient } from '../contract/contract.ts';
import { readLtxHeader } from './read-header.ts';

const READS_MAX = 8;

/**
 * The files with `createdAt`, the time of the earliest transaction in each, if their headers state it: compaction keeps
 * it, and a file of one transaction has its time. Snapshots of a live database do not state it, nor do merged files of
 * Litestream (Go). One small read per file; a file that is gone or damaged is returned as listed.
 */
export async function withCreatedAt(
  client: ReplicaClient,
  files: readonly LtxFileInfo[],
  options: Op = {},
): Promise<LtxFileInfo[]> {
  const result = [...files];
  await forEachBounded(files.entries(), READS_MAX, async ([index, file]) => {
    const createdAt = file.createdAt ?? (await readCreatedAt(client, file, options));
    if (createdAt !== undefined) result[index] = { ...file, createdAt };
  });
  return result;
}

async function readCreatedAt(client: ReplicaClient, file: LtxFileInfo, options: Op): Promise<Date | undefined> {
  try {
    const createdAtMs = createdAtMsOf(await readLtxHeader(client, file, options));
    return createdAtMs === undefined ? undefined : new Date(createdAtMs);
  } catch (error) {
    if (isLtxError(error) || hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED')) return undefined;
    throw error;
  }
}

function createdAtMsOf({ extension, minTxid, maxTxid, timestampMs }: LtxHeader): number | undefined {
  return extension?.createdAtMs ?? (minTxid === maxTxid ? timestampMs : undefined);
}
