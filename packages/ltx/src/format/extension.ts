import { CHECKSUM_FLAG } from './constants.ts';
import { LtxError } from './error.ts';

/**
 * The data of this project in the header's 20 reserved bytes, which other readers ignore. Big-endian: marker u16, u48,
 * databaseChecksum u64, previousChecksumHigh u32. The marker says what the u48 is: 0x5453 ("TS") for createdAtMs,
 * 0x5457 ("TW") for walEndOffset.
 */
export type LtxExtension = MergedExtension | WalExtension;

interface DatabaseChecksums {
  /** Checksum of the database after the file is applied; 0 if unknown. */
  readonly databaseChecksum: bigint;
  /** High 32 bits of the checksum of the database before the file is applied; 0 if unknown. */
  readonly previousChecksumHigh: number;
}

/** Extension of a file that may hold several transactions. */
export interface MergedExtension extends DatabaseChecksums {
  /** When the earliest transaction in the file was read, in ms since 1970: less than 2^48. */
  readonly createdAtMs: number;
  readonly walEndOffset?: undefined;
}

/** Extension of a file of one transaction that was read from a WAL: its earliest time is that of the header. */
export interface WalExtension extends DatabaseChecksums {
  readonly createdAtMs?: undefined;
  /** Offset in the WAL, in bytes, after the last frame that the file was read from: less than 2^48. */
  readonly walEndOffset: number;
}

/** Bytes with another marker belong to another program, and are ignored. */
const MERGED_MARKER = 0x5453;
const WAL_MARKER = 0x5457;
const OFFSET = 80;

/** Writes the reserved bytes of a header. */
export function writeExtension(view: DataView, extension: LtxExtension): void {
  checkExtension(extension);
  const { databaseChecksum, previousChecksumHigh } = extension;
  const isOfWal = extension.createdAtMs === undefined;
  const value = isOfWal ? extension.walEndOffset : extension.createdAtMs;
  view.setUint16(OFFSET, isOfWal ? WAL_MARKER : MERGED_MARKER);
  view.setUint16(OFFSET + 2, Math.floor(value / 2 ** 32));
  view.setUint32(OFFSET + 4, value % 2 ** 32);
  view.setBigUint64(OFFSET + 8, databaseChecksum);
  view.setUint32(OFFSET + 16, previousChecksumHigh);
}

/** Reads the reserved bytes of a header: undefined if they are zero or belong to another program. */
export function readExtension(view: DataView, file?: string): LtxExtension | undefined {
  const marker = view.getUint16(OFFSET);
  if (marker !== MERGED_MARKER && marker !== WAL_MARKER) return undefined;
  const value = view.getUint16(OFFSET + 2) * 2 ** 32 + view.getUint32(OFFSET + 4);
  const checksums = {
    databaseChecksum: view.getBigUint64(OFFSET + 8),
    previousChecksumHigh: view.getUint32(OFFSET + 16),
  };
  const extension: LtxExtension =
    marker === MERGED_MARKER ? { createdAtMs: value, ...checksums } : { walEndOffset: value, ...checksums };
  checkExtension(extension, file);
  return extension;
}

function checkExtension(extension: LtxExtension, file?: string): void {
  const { createdAtMs, walEndOffset, databaseChecksum, previousChecksumHigh } = extension;
  const refuse = (what: string): never => {
    throw new LtxError('BAD_HEADER', `header extension: ${what}`, { file, offset: OFFSET });
  };
  if (createdAtMs !== undefined && !isUint48(createdAtMs)) {
    refuse(`creation time ${createdAtMs} is not in 0 … 2^48 - 1 ms`);
  }
  if (walEndOffset !== undefined && !isUint48(walEndOffset)) {
    refuse(`WAL offset ${walEndOffset} is not in 0 … 2^48 - 1`);
  }
  if (databaseChecksum !== 0n && (databaseChecksum < CHECKSUM_FLAG || databaseChecksum >= CHECKSUM_FLAG * 2n)) {
    refuse(`database checksum ${databaseChecksum.toString(16)} lacks its flag`);
  }
  if (
    previousChecksumHigh !== 0 &&
    (!Number.isInteger(previousChecksumHigh) || previousChecksumHigh < 2 ** 31 || previousChecksumHigh >= 2 ** 32)
  ) {
    refuse(`previous checksum ${previousChecksumHigh.toString(16)} lacks its flag`);
  }
}

function isUint48(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value < 2 ** 48;
}
