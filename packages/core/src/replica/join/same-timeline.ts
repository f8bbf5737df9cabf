/** Do the local level-0 files continue those of a replica, or do they belong to another timeline? */
import { open } from 'node:fs/promises';
import { HEADER_SIZE } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import type { Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { hasCode } from '../../util/error.ts';
import { isLost, openLocalFile, verifyLocalFile } from '../upload/local-file.ts';

/**
 * `other` if the file of `txid` on the replica and the local one are not the same. The headers show this: they contain the time
 * in milliseconds and the salts of the WAL. `unknown` if the local file is missing or damaged, `absent` if the replica returns
 * no file, though it may list it.
 */
export async function compareTimeline(
  client: ReplicaClient,
  file: { readonly path: string; readonly txid: TXID },
  options: Op,
): Promise<'same' | 'other' | 'unknown' | 'absent'> {
  const local = await localHeader(file.path);
  if (local === undefined) return 'unknown';
  const remote = await remoteHeader(client, file.txid, options);
  if (remote === undefined) return 'absent';
  if (local.equals(remote)) return 'same';
  return (await isDamaged(file)) ? 'unknown' : 'other';
}

async function isDamaged({ path, txid }: { readonly path: string; readonly txid: TXID }): Promise<boolean> {
  try {
    await verifyLocalFile(await openLocalFile(path, txid), path);
    return false;
  } catch (error) {
    if (!isLost(error)) throw error;
    return true;
  }
}

async function localHeader(path: string): Promise<Buffer | undefined> {
  try {
    await using handle = await open(path, OPEN_EXISTING.read);
    const bytes = Buffer.alloc(HEADER_SIZE);
    const { bytesRead } = await handle.read(bytes, 0, HEADER_SIZE, 0);
    return bytes.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The header of a level-0 file on a replica, unchanged; undefined if there is none. */
export async function remoteHeader(client: ReplicaClient, txid: TXID, { signal }: Op): Promise<Buffer | undefined> {
  const file = { level: 0, minTxid: txid, maxTxid: txid };
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await client.openLtxFile(file, { offset: 0, size: HEADER_SIZE, signal })) {
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).subarray(0, HEADER_SIZE);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
