import { CHECKSUM_FLAG } from './constants.ts';
import { LtxError } from './error.ts';

/**
 * What this project keeps in the header's 20 reserved bytes, which other readers ignore. Big-endian:
 * marker u16 (0x5453), createdAtMs u48, databaseChecksum u64, previousChecksumHigh u32.
 */
export interface LtxExtension {
  /** When the earliest transaction in the file was read, in ms since 1970: less than 2^48. */
  readonly createdAtMs: number;
  /** Checksum of the database after the file is applied; 0 if unknown. */
  readonly databaseChecksum: bigint;
  /** High 32 bits of the checksum of the database before the file is applied; 0 if unknown. */
  readonly previousChecksumHigh: number;
}

/** "TS". Another marker is somebody else's, and ignored. */
const MARKER = 0x5453;
const OFFSET = 80;

/** Writes the reserved bytes of a header. */
export function writeExtension(view: DataView, extension: LtxExtension): void {
  const { createdAtMs, databaseChecksum, previousChecksumHigh } = extension;
  checkExtension(extension);
  view.setUint16(OFFSET, MARKER);
  view.setUint16(OFFSET + 2, Math.floor(createdAtMs / 2 ** 32));
  view.setUint32(OFFSET + 4, createdAtMs % 2 ** 32);
  view.setBigUint64(OFFSET + 8, databaseChecksum);
  view.setUint32(OFFSET + 16, previousChecksumHigh);
}

/** Reads the reserved bytes of a header: undefined if they are zero or somebody else's. */
export function readExtension(view: DataView, file?: string): LtxExtension | undefined {
  if (view.getUint16(OFFSET) !== MARKER) return undefined;
  const extension = {
    createdAtMs: view.getUint16(OFFSET + 2) * 2 ** 32 + view.getUint32(OFFSET + 4),
    databaseChecksum: view.getBigUint64(OFFSET + 8),
    previousChecksumHigh: view.getUint32(OFFSET + 16),
  };
  checkExtension(extension, file);
  return extension;
}

function checkExtension(extension: LtxExtension, file?: string): void {
  const { createdAtMs, databaseChecksum, previousChecksumHigh } = extension;
  const refuse = (what: string): never => {
    throw new LtxError('BAD_HEADER', `header extension: ${what}`, { file, offset: OFFSET });
  };
  if (!Number.isSafeInteger(createdAtMs) || createdAtMs < 0 || createdAtMs >= 2 ** 48) {
    refuse(`creation time ${createdAtMs} is not in 0 … 2^48 - 1 ms`);
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
