import { CHECKSUM_FLAG, TRAILER_SIZE } from './constants.ts';
import { LtxError } from './error.ts';
import { hasChecksums } from './header.ts';
import type { LtxHeader } from './header.ts';

/** The last 16 bytes of a file. */
export interface LtxTrailer {
  /** Checksum of the database after the file is applied; 0 in files without checksums. */
  readonly postApplyChecksum: bigint;
  /** 1<<63 | CRC of the whole file, pages uncompressed. */
  readonly fileChecksum: bigint;
}

/** File and offset of an object, for errors. */
export interface Place {
  readonly file?: string | undefined;
  readonly offset?: number | undefined;
}

/** Reads a trailer, which is `TRAILER_SIZE` bytes. */
export function decodeTrailer(bytes: Uint8Array, place: Place): LtxTrailer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, TRAILER_SIZE);
  const trailer = { postApplyChecksum: view.getBigUint64(0), fileChecksum: view.getBigUint64(8) };
  if (trailer.fileChecksum < CHECKSUM_FLAG) {
    throw new LtxError('BAD_TRAILER', 'file checksum is missing or lacks its flag', place);
  }
  return trailer;
}

/** Throws `LtxError` (`BAD_TRAILER`) unless the checksum of the database after the file matches the header's flags. */
export function validateTrailer(trailer: LtxTrailer, header: LtxHeader, place: Place = {}): void {
  const checksum = trailer.postApplyChecksum;
  if (!hasChecksums(header)) {
    if (checksum === 0n) return;
    throw new LtxError('BAD_TRAILER', 'checksum of the database after, in a file without checksums', place);
  }
  if (checksum < CHECKSUM_FLAG || checksum >= CHECKSUM_FLAG * 2n) {
    throw new LtxError('BAD_TRAILER', 'checksum of the database after is missing or lacks its flag', place);
  }
  if (header.commit === 0 && checksum !== CHECKSUM_FLAG) {
    throw new LtxError('BAD_TRAILER', 'checksum of an empty database is not empty', place);
  }
}
