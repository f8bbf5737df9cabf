/** Is the level-0 file of one transaction on a replica the same as the local one? */
import { open } from 'node:fs/promises';
import { HEADER_SIZE, TRAILER_SIZE } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import type { Body, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { hasCode } from '../../util/error.ts';

/** Files up to this size are compared completely. */
const WHOLE_SIZE_MAX = 1 << 20;

/**
 * `absent` if the replica has none. Compares every byte of a file up to 1 MiB; of a larger one the size, the header
 * (time in milliseconds, salts of the WAL) and the trailer, which holds a checksum of all the rest.
 */
export async function compareFile(
  client: ReplicaClient,
  { txid, body }: { readonly txid: TXID; readonly body: Body },
  { signal }: Op,
): Promise<'same' | 'other' | 'absent'> {
  const file = { level: 0, minTxid: txid, maxTxid: txid };
  // Reads one byte more than expected, to detect a longer file.
  const read = async (offset: number, size: number): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await client.openLtxFile(file, { offset, size: size + 1, signal })) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const size = body.size ?? 0;
  const ranges =
    size <= WHOLE_SIZE_MAX
      ? [[0, size]]
      : [
          [0, HEADER_SIZE],
          [size - TRAILER_SIZE, TRAILER_SIZE],
        ];
  try {
    for (const [offset = 0, length = 0] of ranges) {
      const isEnd = offset + length === size;
      const remote = await read(offset, length);
      const local = await readBody(body, offset, length);
      if (!(isEnd ? remote : remote.subarray(0, length)).equals(local)) return 'other';
    }
    return 'same';
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return 'absent';
    throw error;
  }
}

async function readBody(body: Body, offset: number, size: number): Promise<Buffer> {
  if (body.path === undefined) return Buffer.concat(await Array.fromAsync(body.open())).subarray(offset, offset + size);
  await using handle = await open(body.path, OPEN_EXISTING.read);
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await handle.read(bytes, 0, size, offset);
  return bytes.subarray(0, bytesRead);
}
