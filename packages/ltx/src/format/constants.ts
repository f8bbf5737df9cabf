/** Header flag: the file has no database checksums. */
export const HEADER_FLAG_NO_CHECKSUM = 2;
/** Bytes of a file header. */
export const HEADER_SIZE = 100;
/** Bytes of a page header: page number u32, flags u16. */
export const PAGE_HEADER_SIZE = 6;
/** Page header flag: a u32 with the compressed size follows, then an LZ4 block. Without it, an LZ4 frame follows. */
export const PAGE_FLAG_SIZE = 1;
/** Bytes of a trailer: database checksum after the file, file checksum. */
export const TRAILER_SIZE = 16;
/** Set in every checksum, so that none is ever zero. */
export const CHECKSUM_FLAG: bigint = 1n << 63n;

export const PAGE_SIZE_MIN = 512;
export const PAGE_SIZE_MAX = 65536;

/** SQLite locks this byte of the database; the page that contains it never has data. */
const PENDING_BYTE = 0x40000000;

/** Number of the lock page, which is never written. */
export function lockPageNumber(pageSize: number): number {
  return PENDING_BYTE / pageSize + 1;
}

/** True for a power of two from 512 to 65536. */
export function isPageSize(size: number): boolean {
  return Number.isInteger(size) && size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) === 0;
}
