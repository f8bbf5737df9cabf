import type { LtxHeader } from '@litestream/ltx';

/** The checksum of a whole database, and what of its pages it is the xor of: `Kernel.pageHashes`, or `Kernel.pageChecksums`. */
export interface DatabaseChecksum {
  readonly value: bigint;
  readonly of: 'hashes' | 'checksums';
}

/** What a file says of the whole database after it, if it says anything: in our extension, or in LTX's own field. */
export function databaseChecksumOf(header: LtxHeader, postApplyChecksum: bigint): DatabaseChecksum | undefined {
  const value = statedChecksum(header);
  if (value !== undefined) return { value, of: 'hashes' };
  return postApplyChecksum === 0n ? undefined : { value: postApplyChecksum, of: 'checksums' };
}

/** Of `Kernel.pageHashes`, in our extension. */
export function statedChecksum({ extension }: LtxHeader): bigint | undefined {
  const stated = extension?.databaseChecksum ?? 0n;
  return stated === 0n ? undefined : stated;
}
