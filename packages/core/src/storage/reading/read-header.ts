/** Reads only the header of a stored LTX file. */
import { decodeHeader, HEADER_SIZE } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { Clock } from '../../util/clock.ts';
import type { LtxFileInfo, Op, ReplicaClient } from '../contract/contract.ts';
import { ltxObjectName } from '../contract/object-names.ts';
import { resumableSource } from './resumable-reader.ts';

/** One request. Rejects with `NOT_FOUND`, or with an `LtxError` that names the file. Not verified by its checksum. */
export async function readLtxHeader(
  client: ReplicaClient,
  file: LtxFileInfo,
  options: Op & { readonly clock?: Clock | undefined } = {},
): Promise<LtxHeader> {
  const bytes = new Uint8Array(HEADER_SIZE);
  let length = 0;
  for await (const chunk of resumableSource(client, file, { ...options, size: HEADER_SIZE })) {
    const part = chunk.subarray(0, HEADER_SIZE - length);
    bytes.set(part, length);
    length += part.length;
  }
  return decodeHeader(bytes.subarray(0, length), { file: ltxObjectName(file) });
}
