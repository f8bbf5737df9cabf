import type { LtxHeader } from '@litestream/ltx';

/**
 * The checksum of a whole database, and which page checksums it is the xor of: `Kernel.pageHashes` or
 * `Kernel.pageChecksums`.
 */
export interface DatabaseChecksum {
  readonly value: bigint;
  readonly of: 'hashes' | 'checksums';
}

/** The database checksum that a file states, in our extension or in LTX's own field; undefined if it states none. */
export function databaseChecksumOf(header: LtxHeader, postApplyChecksum: bigint): DatabaseChecksum | undefined {
  const value = statedChecksum(header);
  if (value !== undefined) return { value, of: 'hashes' };
  return postApplyChecksum === 0n ? undefined : { value: postApplyChecksum, of: 'checksums' };
}

/** The checksum over `Kernel.pageHashes` in our extension. */
export function statedChecksum({ extension }: LtxHeader): bigint | undefined {
  const stated = extension?.databaseChecksum ?? 0n;
  return stated === 0n ? undefined : stated;
}
