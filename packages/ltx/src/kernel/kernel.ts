/** Result of encoding pages: views valid until the next kernel call on this thread. */
export interface EncodedFrames {
  /** Page header, size and LZ4 block of each page, in order. */
  readonly frames: Uint8Array;
  /** Bytes of each frame, headers included. */
  readonly sizes: Uint32Array;
  /** The running file checksum after these pages. */
  readonly crc: bigint;
  /** As `Kernel.pageHashes` returns them, if requested; else empty. A copy. */
  readonly pageHashes: BigUint64Array;
}

/** Result of decoding frames: views valid until the next kernel call on this thread. */
export interface DecodedFrames {
  /** Frames decoded. */
  readonly count: number;
  /** Bytes of `src` that they took, without the zero header. */
  readonly consumed: number;
  readonly pgnos: Uint32Array;
  /** Bytes of each frame, headers included. */
  readonly sizes: Uint32Array;
  /** `count × pageSize` bytes. */
  readonly pages: Uint8Array;
  /** The running file checksum after these frames. */
  readonly crc: bigint;
  /** The six zero bytes that end the pages are at `consumed`. */
  readonly endOfPages: boolean;
  /** Bytes of these frames that the file checksum covers, for `crc64Combine`. */
  readonly crcLength: number;
  /** As `Kernel.pageHashes` returns them, but also for the lock page, if requested; else empty. */
  readonly pageHashes: BigUint64Array;
}

/** Result of checking frames: pages are decoded and discarded; the caller owns the arrays. */
export interface CheckedFrames {
  /** Frames checked. */
  readonly count: number;
  /** Bytes that they took, without the zero header. */
  readonly consumed: number;
  readonly pgnos: Uint32Array;
  /** Bytes of each frame, headers included. */
  readonly sizes: Uint32Array;
  /** CRC of each frame as the file checksum includes it. */
  readonly checksums: BigUint64Array;
  /** Flags of each frame, which determine how many bytes its CRC covers. */
  readonly kinds: Uint8Array;
  /** Xor of the page checksums, if requested. */
  readonly pageChecksums: bigint;
  /** The running file checksum after these frames. */
  readonly crc: bigint;
  readonly endOfPages: boolean;
}

/** The valid frames at the start of a piece of a WAL. The caller owns the arrays. */
export interface WalFrames {
  /** Frames with a page number, matching salts and checksum, from the start. */
  readonly count: number;
  readonly pgnos: Uint32Array;
  /** Database size in pages for a commit frame, else 0. */
  readonly commits: Uint32Array;
  /** Running checksum after the last valid frame. */
  readonly s0: number;
  readonly s1: number;
  /** Index of the last commit frame; -1 if there is none. */
  readonly lastCommit: number;
  /** Running checksum after the last commit frame; the seed if there is none. */
  readonly commitS0: number;
  readonly commitS1: number;
}

/**
 * Checksums and compression in WASM, over the memory of this thread's one instance. That memory grows to the largest
 * batch and does not shrink. Pages of 256 KiB to 2 MiB per call are enough for full speed. Inputs may be views of
 * earlier results.
 */
export interface Kernel {
  /**
   * `size` bytes of the kernel's own memory, to fill and pass to the next call on this thread: to `decodeFrames` as
   * `src`, to `encodeFrames` as `pages`, or, up to 1 MiB, to `walFrames`, which then copy nothing. It is invalid after
   * that call, and after any other.
   */
  input(size: number): Uint8Array;
  /** CRC-64/GO-ISO of all bytes so far; `seed` is the value before these, 0n at the start. */
  crc64(bytes: Uint8Array, seed?: bigint): bigint;
  /** CRC of A‖B from the CRC of A, that of B, and the length of B in bytes. */
  crc64Combine(a: bigint, b: bigint, bLength: number): bigint;
  /**
   * Compresses `pgnos.length` pages into frames and computes the file checksum over them. Does not check the order of
   * pages.
   */
  encodeFrames(
    pgnos: ArrayLike<number>,
    pages: Uint8Array,
    pageSize: number,
    crc: bigint,
    options?: { readonly withPageHashes?: boolean },
  ): EncodedFrames;
  /**
   * Decodes as many complete frames as `src` holds, at most `pageCountMax` (by default 16 MiB of pages: loop until
   * nothing is consumed), and stops before the zero header. A frame that `src` holds only in part is left for the next
   * call; `frameSizeMax` is the longest possible frame. Throws `LtxError` (`BAD_PAGE`, its `offset` in `src`) for a
   * malformed frame. The caller must check the order and the range of page numbers.
   */
  decodeFrames(
    src: Uint8Array,
    pageSize: number,
    crc: bigint,
    pageCountMax?: number,
    options?: { readonly withPageHashes?: boolean },
  ): DecodedFrames;
  /**
   * Decodes one LZ4 block, whose matches may reach back into `history`, the bytes before it. Undefined if it is malformed
   * or longer than `sizeMax`. A view valid until the next kernel call on this thread.
   */
  decodeLz4Block(block: Uint8Array, sizeMax: number, history?: Uint8Array): Uint8Array | undefined;
  /** SQLite's WAL checksum over whole 8-byte units; `s0`, `s1` are the values so far. */
  walChecksum(bytes: Uint8Array, bigEndian: boolean, s0: number, s1: number): { s0: number; s1: number };
  /** Verifies contiguous WAL frames of 24 + pageSize bytes each; stops at the first that does not belong. */
  walFrames(
    bytes: Uint8Array,
    pageSize: number,
    bigEndian: boolean,
    salt1: number,
    salt2: number,
    s0: number,
    s1: number,
  ): WalFrames;
  /** 1<<63 | CRC(page number ‖ page) of each page; 0 for the lock page. A copy that the caller owns. */
  pageChecksums(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array;
  /**
   * 1<<63 | f(CRC(page number ‖ page)) of each page, where f is the finalizer of MurmurHash3; 0 for the lock page. A
   * CRC is linear: the xor of page checksums is the same after two pages were swapped, or changed in the same bytes.
   * The xor of these is not. A copy that the caller owns.
   */
  pageHashes(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array;
}
