import type { LtxHeader } from '@litestream/ltx';

/** What a file says of the checksum of the whole database after it, if it says anything. */
export function databaseChecksumOf(header: LtxHeader, postApplyChecksum: bigint): bigint | undefined {
  const stated = header.extension?.databaseChecksum ?? 0n;
  if (stated !== 0n) return stated;
  return postApplyChecksum === 0n ? undefined : postApplyChecksum;
}
