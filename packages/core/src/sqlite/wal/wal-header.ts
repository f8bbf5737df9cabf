/** Bytes before the first frame of a WAL. */
export const WAL_HEADER_SIZE = 32;

/** Bytes before each page of a WAL. */
export const WAL_FRAME_HEADER_SIZE = 24;

/** Offset of the eight bytes of salts in the header. */
export const HEADER_SALTS_OFFSET = 16;

/** Offset of the salts in each frame. */
export const FRAME_SALTS_OFFSET = 8;

const MAGIC_LITTLE_ENDIAN = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;
const FORMAT_VERSION = 3007000;

/** The header of a WAL, as SQLite's file format document (section 4.1) describes it. */
export interface WalHeader {
  /** Are the checksums computed over big-endian words? (The stored numbers always are big-endian.) */
  readonly bigEndian: boolean;
  /** Bytes. */
  readonly pageSize: number;
  /** Restarts of this WAL. */
  readonly checkpointSequence: number;
  /** Grows by one with each restart. */
  readonly salt1: number;
  /** A new random number with each restart. */
  readonly salt2: number;
  /** Seed of the first frame's cumulative checksum. */
  readonly s0: number;
  readonly s1: number;
}

/** A running WAL checksum: two 32-bit sums. */
export interface WalSums {
  readonly s0: number;
  readonly s1: number;
}

/** Decodes a header. Undefined if it is short, foreign, or its own checksum says that it was written only in part. */
export function decodeWalHeader(bytes: Uint8Array): WalHeader | undefined {
  if (bytes.length < WAL_HEADER_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_HEADER_SIZE);
  const magic = view.getUint32(0);
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return undefined;
  if (view.getUint32(4) !== FORMAT_VERSION) return undefined;
  const bigEndian = magic === MAGIC_BIG_ENDIAN;
  const { s0, s1 } = headerChecksum(view, bigEndian);
  if (s0 !== view.getUint32(24) || s1 !== view.getUint32(28)) return undefined;
  const pageSize = view.getUint32(8);
  if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  return {
    bigEndian,
    pageSize,
    checkpointSequence: view.getUint32(12),
    salt1: view.getUint32(16),
    salt2: view.getUint32(20),
    s0,
    s1,
  };
}

/** Encodes a header, and returns its checksum, from which the first frame's checksum continues. */
export function encodeWalHeader(header: {
  readonly bigEndian: boolean;
  readonly pageSize: number;
  readonly checkpointSequence: number;
  /** The eight bytes of both salts. */
  readonly salts: Uint8Array;
}): { readonly bytes: Uint8Array } & WalSums {
  const bytes = new Uint8Array(WAL_HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, header.bigEndian ? MAGIC_BIG_ENDIAN : MAGIC_LITTLE_ENDIAN);
  view.setUint32(4, FORMAT_VERSION);
  view.setUint32(8, header.pageSize);
  view.setUint32(12, header.checkpointSequence);
  bytes.set(header.salts, HEADER_SALTS_OFFSET);
  const { s0, s1 } = headerChecksum(view, header.bigEndian);
  view.setUint32(24, s0);
  view.setUint32(28, s1);
  return { bytes, s0, s1 };
}

/** Bytes of a WAL that holds this many pages. */
export function walSizeOf(pageSize: number, pageCount: number): number {
  return WAL_HEADER_SIZE + (WAL_FRAME_HEADER_SIZE + pageSize) * pageCount;
}

/** Do both headers belong to the same generation of the WAL? */
export function sameSalts(
  a: { readonly salt1: number; readonly salt2: number },
  b: { readonly salt1: number; readonly salt2: number },
): boolean {
  return a.salt1 === b.salt1 && a.salt2 === b.salt2;
}

/** Computes it here: six words are too few for a call into the kernel. */
function headerChecksum(view: DataView, bigEndian: boolean): WalSums {
  let s0 = 0;
  let s1 = 0;
  for (let offset = 0; offset < 24; offset += 8) {
    s0 = (s0 + view.getUint32(offset, !bigEndian) + s1) >>> 0;
    s1 = (s1 + view.getUint32(offset + 4, !bigEndian) + s0) >>> 0;
  }
  return { s0, s1 };
}
