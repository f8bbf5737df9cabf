/** Result of encoding pages: views valid until the next kernel call on this thread. */
export interface EncodedFrames {
  /** Page header, size and LZ4 block of each page, one after the other. */
  readonly frames: Uint8Array;
  /** Bytes of each frame. */
  readonly sizes: Uint32Array;
  /** The running file checksum after these pages. */
  readonly crc: bigint;
}

/** Result of decoding frames: views valid until the next kernel call on this thread. */
export interface DecodedFrames {
  /** Frames decoded. */
  readonly count: number;
  /** Bytes of `src` they took, without the zero header. */
  readonly consumed: number;
  readonly pgnos: Uint32Array;
  /** Bytes of each frame, its headers included. */
  readonly sizes: Uint32Array;
  /** `count × pageSize` bytes. */
  readonly pages: Uint8Array;
  readonly crc: bigint;
  /** The six zero bytes that end the pages stand at `consumed`. */
  readonly endOfPages: boolean;
}

/** The valid frames at the start of a piece of a WAL. */
export interface WalFrames {
  /** Frames with matching salts and checksum, from the start. */
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

/** Checksums and compression in WASM, over the memory of this thread's one instance. */
export interface Kernel {
  /** Running CRC-64/GO-ISO; `seed` is the value so far. */
  crc64(bytes: Uint8Array, seed?: bigint): bigint;
  /** CRC of A‖B from the CRC of A, that of B, and the length of B in bytes. */
  crc64Combine(a: bigint, b: bigint, bLength: number): bigint;
  /** Compresses `pgnos.length` pages into frames and runs the file checksum over them. */
  encodeFrames(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number, crc: bigint): EncodedFrames;
  /**
   * Decodes as many whole frames as `src` holds, at most `pageCountMax`, stopping before the zero header. A frame cut
   * off by the end of `src` is left for the next call. Throws `LtxError` (`BAD_PAGE`) for a malformed frame.
   */
  decodeFrames(src: Uint8Array, pageSize: number, crc: bigint, pageCountMax?: number): DecodedFrames;
  /** SQLite's WAL checksum over whole 8-byte words; `s0`, `s1` are the values so far. */
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
  /** 1<<63 | CRC(page number ‖ page) of each page. */
  pageChecksums(pgnos: ArrayLike<number>, pages: Uint8Array, pageSize: number): BigUint64Array;
}

/** The kernel of this thread, made on first use. */
export function kernel(): Kernel {
  throw new Error('not built yet');
}
