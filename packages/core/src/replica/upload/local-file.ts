/** A local level-0 file, ready for the upload. */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { decodeHeader, HEADER_SIZE, isLtxError, LtxError, verifyLtx } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import { OPEN_EXISTING, readFileChunks } from '../../files/safe-files.ts';
import { localFileError } from '../../local-ltx/local-file-errors.ts';
import type { Body } from '../../storage/contract/contract.ts';

export interface LocalFile {
  readonly timestamp: Date;
  readonly body: Body;
  /** Its bytes are in memory: verifying them costs little, and exactly the verified bytes are uploaded. */
  readonly isKept: boolean;
}

/** How lost files are replaced: a snapshot took their place, or will be written to take it. */
export type LostFiles = 'replaced' | 'covered';

/** Bytes of a chunk of a larger file. */
const READ_SIZE = 1 << 20;
/** Files up to this size are read once and kept in memory during the upload. */
const KEPT_SIZE_MAX = 1 << 20;

/**
 * Opens the file of one transaction. Rejects with `ENOENT`, or with an `LtxError` if the file is damaged or holds other
 * transactions.
 */
export async function openLocalFile(path: string, txid: TXID): Promise<LocalFile> {
  const handle = await open(path, OPEN_EXISTING.read);
  try {
    const { size } = await handle.stat();
    const bytes = new Uint8Array(size <= KEPT_SIZE_MAX ? size : HEADER_SIZE);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    const header = decodeHeader(bytes.subarray(0, bytesRead));
    if (header.minTxid !== txid || header.maxTxid !== txid) {
      throw new LtxError('BAD_HEADER', 'the file holds other transactions than its name says', {
        file: basename(path),
      });
    }
    const kept = bytesRead === size ? bytes : undefined;
    const body: Body =
      kept === undefined ? bodyOfFile(path, size) : { size, open: (): AsyncIterable<Uint8Array> => once(kept) };
    return { timestamp: new Date(header.timestampMs), body, isKept: kept !== undefined };
  } finally {
    await handle.close();
  }
}

/**
 * The file of one transaction, or why it is lost. Verified completely if it is small, or if the caller asks for it.
 * Rejects with an error of the disk if that may be transient.
 */
export async function readLocalFile(
  path: string,
  txid: TXID,
  { verified }: { readonly verified: boolean },
): Promise<LocalFile | { readonly lost: unknown }> {
  try {
    const local = await openLocalFile(path, txid);
    if (local.isKept || verified) await verifyLocalFile(local, path);
    return local;
  } catch (error) {
    if (!isLost(error)) throw localFileError(error, path);
    return { lost: error };
  }
}

/** The body of a file that does not change any more. */
export function bodyOfFile(path: string, size: number): Body {
  const open = (): AsyncIterable<Uint8Array> => readFileChunks(path, { highWaterMark: READ_SIZE });
  return { size, path, readAhead: true, open };
}

/** Throws an `LtxError` if the file is damaged. */
export async function verifyLocalFile(file: LocalFile, path: string): Promise<void> {
  await verifyLtx(file.body.open(), { file: basename(path) });
}

/** Is the file gone or damaged, so that a retry cannot help? Other failures of the disk may be transient. */
export function isLost(error: unknown): boolean {
  return isLtxError(error) || (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
