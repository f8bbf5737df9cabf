/** Does the level-0 file of one transaction hold every page of the database? */
import { open } from 'node:fs/promises';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import { decodeHeader, HEADER_SIZE, lockPageNumber, readPageIndex } from '@litestream/ltx';
import { isLost, openLocalFile, verifyLocalFile } from './local-file.ts';
import type { TXID } from '@litestream/ltx';

/** False also if the file is missing or damaged. A restore that ends with such a file gives this database. */
export async function isWholeTransaction(path: string, txid: TXID): Promise<boolean> {
  try {
    await verifyLocalFile(await openLocalFile(path, txid), path);
    await using handle = await open(path, OPEN_EXISTING.read);
    const { size } = await handle.stat();
    const read = async (offset: number, length: number): Promise<Uint8Array> => {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    };
    const { commit, pageSize } = decodeHeader(await read(0, HEADER_SIZE));
    const { index } = await readPageIndex({ size, read });
    // No LTX file holds the lock page.
    return index.count === (commit < lockPageNumber(pageSize) ? commit : commit - 1);
  } catch (error) {
    if (!isLost(error)) throw error;
    return false;
  }
}
