/**
 * Makes a level-0 file without a page. If a database continues behind another one's files with a TXID above the next,
 * the other process, if it still runs, would find its own next name free, and continue in the gap: what it wrote there
 * would never be restored. This file takes that name. A restore to its TXID gives the same state as the file before it.
 */
import { isLtxError, LtxEncoder, newHeader } from '@litestream/ltx';
import type { LtxExtension, LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { readLtxHeader } from '../../storage/reading/read-header.ts';
import { WAL_HEADER_SIZE } from '../../sqlite/wal/wal-header.ts';
import type { Level0File } from '../upload/level0-writer.ts';

/**
 * The file behind `last`, which is the newest of the replica, with a time before `beforeMs`, that of the next
 * transaction: times rise with TXIDs, regardless of the clock. Rejects with `NOT_FOUND` if `last` is gone.
 */
export async function claimBehind(
  client: ReplicaClient,
  last: LtxFileInfo,
  options: Op & { readonly beforeMs: number },
): Promise<Level0File> {
  const { pageSize, commit, timestampMs, extension } = await shapeOf(client, last, options);
  const txid = last.maxTxid + 1n;
  return emptyFile(txid, { pageSize, commit, timestampMs: Math.max(timestampMs, options.beforeMs - 1), extension });
}

type Shape = Pick<LtxHeader, 'pageSize' | 'commit' | 'timestampMs'> & { readonly extension: LtxExtension | undefined };

function emptyFile(txid: TXID, { extension: before, ...shape }: Shape): Level0File {
  // The database does not change.
  const databaseChecksum = before?.databaseChecksum ?? 0n;
  const extension = {
    walEndOffset: WAL_HEADER_SIZE,
    databaseChecksum,
    previousChecksumHigh: Number(databaseChecksum >> 32n),
  };
  // Offset and salts are those of a file that was not cut from the WAL.
  const fields = { ...shape, minTxid: txid, maxTxid: txid, walOffset: WAL_HEADER_SIZE };
  const encoder = new LtxEncoder(newHeader(before === undefined ? fields : { ...fields, extension }));
  const bytes = Buffer.concat([encoder.begin().slice(), encoder.finish().slice()]);
  const open = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  return { txid, timestamp: new Date(shape.timestampMs), body: { size: bytes.byteLength, open } };
}

/** If the file is damaged, nothing behind it can be restored, and the size does not matter. */
async function shapeOf(client: ReplicaClient, last: LtxFileInfo, options: Op): Promise<Shape> {
  // Reads any version: the file may have been damaged, or repaired, since it was listed.
  const { version: _, ...newest } = last;
  try {
    const { pageSize, commit, timestampMs, extension } = await readLtxHeader(client, newest, options);
    return { pageSize, commit, timestampMs, extension };
  } catch (error) {
    if (!isLtxError(error)) throw error;
    return { pageSize: 4096, commit: 1, timestampMs: 0, extension: undefined };
  }
}
