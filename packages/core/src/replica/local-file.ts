/** A local level-0 file, ready to be sent. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { decodeHeader, HEADER_SIZE, isLtxError, LtxError, verifyLtx } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Body } from '../client/contract.ts';

export interface LocalFile {
  readonly timestamp: Date;
  readonly body: Body;
  /** Its bytes are in memory: to verify them costs little, and what is verified is what is sent. */
  readonly isKept: boolean;
}

/** Bytes of a chunk of a larger file. */
const READ_SIZE = 1 << 20;
/** Files up to this size are read once and kept while they are sent. */
const KEPT_SIZE_MAX = 1 << 20;

/** Opens the file of one transaction. Rejects with `ENOENT`, or with an `LtxError` for a file that is not that. */
export async function openLocalFile(path: string, txid: TXID): Promise<LocalFile> {
  const handle = await open(path, 'r');
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

/** A file that nobody writes to any more. */
export function bodyOfFile(path: string, size: number): Body {
  const open = (): AsyncIterable<Uint8Array> => createReadStream(path, { highWaterMark: READ_SIZE });
  return { size, path, readAhead: true, open };
}

/** Throws an `LtxError` unless the file is whole. */
export async function verifyLocalFile(file: LocalFile, path: string): Promise<void> {
  await verifyLtx(file.body.open(), { file: basename(path) });
}

/** Is the file gone or damaged, so that trying again cannot help? Other failures of the disk may pass. */
export function isLost(error: unknown): boolean {
  return isLtxError(error) || (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
