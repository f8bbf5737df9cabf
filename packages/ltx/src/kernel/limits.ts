import { isPageSize } from '../format/constants.ts';
import { LtxError } from '../format/error.ts';

/** Faults by the state of the kernel's `decodeFrames` and `mergeFrames`, from state 2 on. */
export const DECODE_FAULTS: readonly string[] = [
  'page number 0 with flags',
  'unknown page flags',
  'compressed size out of bounds',
  'malformed LZ4 block, or not one page of data',
  'malformed LZ4 frame, or not one page of data',
  'wrong checksum in an LZ4 frame',
];

/** In bytes. Long inputs of plain checksums go through the kernel in pieces, so that its memory stays small. */
export const PIECE_SIZE: number = 1 << 20;

/** The longest LZ4 block one page can take. */
export function blockSizeMax(pageSize: number): number {
  return pageSize + Math.ceil(pageSize / 255) + 16;
}

/**
 * The size of the longest frame that is accepted for one page, including headers. An LZ4 block cannot be longer than
 * its bound; legacy LZ4 frames have no limit in theory, and may take slightly more than twice the page size.
 */
export function frameSizeMax(pageSize: number): number {
  return 2 * pageSize + 1024;
}

export function checkPageSize(pageSize: number): void {
  if (!isPageSize(pageSize)) throw argument(`a page size of ${pageSize}`);
}

export function checkPages(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): number {
  checkPageSize(pageSize);
  if (pages.length !== pgnos.length * pageSize) {
    throw argument(`${pages.length} bytes for ${pgnos.length} pages of ${pageSize} bytes`);
  }
  return pgnos.length;
}

export function argument(what: string): LtxError {
  return new LtxError('INVALID_ARGUMENT', `the kernel was given ${what}`);
}
