/** The last 16 bytes of a file. */
export interface LtxTrailer {
  /** Checksum of the database after the file is applied; 0 in files without checksums. */
  readonly postApplyChecksum: bigint;
  readonly fileChecksum: bigint;
}
