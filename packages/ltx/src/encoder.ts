import type { LtxHeader } from './header.ts';

/**
 * Writes a file, chunk by chunk. Each chunk is a view valid until the next call on this encoder or kernel: write or
 * copy it at once.
 */
export class LtxEncoder {
  constructor(header: LtxHeader) {
    throw new Error(`not built yet: ${String(header)}`);
  }

  /** Bytes returned so far. */
  get size(): number {
    throw new Error('not built yet');
  }

  /** The header. */
  begin(): Uint8Array {
    throw new Error('not built yet');
  }

  /** Compresses pages. Page numbers ascend over the whole file; the lock page is refused. */
  encodePages(pgnos: ArrayLike<number>, pages: Uint8Array): Uint8Array {
    throw new Error(`not built yet: ${pgnos.length} ${pages.length}`);
  }

  /** Takes frames that are compressed already; `pages` is their content, for the checksum. */
  appendFrames(pgnos: ArrayLike<number>, sizes: ArrayLike<number>, frames: Uint8Array, pages: Uint8Array): Uint8Array {
    throw new Error(`not built yet: ${pgnos.length} ${sizes.length} ${frames.length} ${pages.length}`);
  }

  /** Zero header, index and trailer. */
  finish(postApplyChecksum?: bigint): Uint8Array {
    throw new Error(`not built yet: ${postApplyChecksum}`);
  }
}
