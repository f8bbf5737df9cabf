import type { LtxTrailer } from './trailer.ts';

/** A file that can be read anywhere. `read` returns exactly `size` bytes or throws. */
export interface RandomAccess {
  /** Bytes. */
  readonly size: number;
  read(offset: number, size: number): Promise<Uint8Array>;
}

/** Where a page's frame stands. */
export interface PageIndexEntry {
  readonly pgno: number;
  /** Absolute, of the page header. */
  readonly offset: number;
  /** Bytes, headers included. */
  readonly size: number;
}

/** Where each page of a file stands, in ascending page number. */
export class PageIndex {
  readonly pgnos: Uint32Array;
  readonly offsets: Float64Array;
  readonly sizes: Uint32Array;

  constructor(pgnos: Uint32Array, offsets: Float64Array, sizes: Uint32Array) {
    this.pgnos = pgnos;
    this.offsets = offsets;
    this.sizes = sizes;
  }

  get count(): number {
    return this.pgnos.length;
  }

  find(pgno: number): PageIndexEntry | undefined {
    throw new Error(`not built yet: ${pgno}`);
  }
}

/** Reads index and trailer without reading the pages. `pagesEnd` is the offset of the six zero bytes. */
export async function readPageIndex(
  file: RandomAccess,
): Promise<{ index: PageIndex; trailer: LtxTrailer; pagesEnd: number }> {
  throw new Error(`not built yet: ${file.size}`);
}

/** Decodes the index: its triples, the zero and its size. */
export function decodePageIndex(bytes: Uint8Array): PageIndex {
  throw new Error(`not built yet: ${bytes.length}`);
}
