/**
 * What this project keeps in the header's 20 reserved bytes, which other readers ignore. Big-endian:
 * marker u16, createdAtMs u48, databaseChecksum u64, previousChecksumHigh u32.
 */
export interface LtxExtension {
  /** When the earliest transaction in the file was read, in ms since 1970: less than 2^48. */
  readonly createdAtMs: number;
  /** Checksum of the database after the file is applied; 0 if unknown. */
  readonly databaseChecksum: bigint;
  /** High 32 bits of the checksum of the database before the file is applied; 0 if unknown. */
  readonly previousChecksumHigh: number;
}
