/**
 * The header of the wal-index (`-shm`): how many frames of the WAL are visible to readers. Layout: SQLite's "WAL-mode File
 * Format", section 2, and `wal.c`, version 3007000, unchanged since 2010. All numbers are in the machine's byte order.
 */
import { readSync } from 'node:fs';
import { endianness } from 'node:os';
import type { WalSums } from './wal-header.ts';

export const WAL_INDEX_VERSION = 3007000;
/** Bytes of one copy of the header; there are two. */
export const WAL_INDEX_HEADER_SIZE = 48;
/** Two copies of the header, nBackfill, five read marks, eight lock bytes, nBackfillAttempted, and four unused bytes. */
export const WAL_INDEX_PREFIX_SIZE = 136;
const BACKFILL_OFFSET = 96;
const BACKFILL_ATTEMPTED_OFFSET = 128;

/** What readers see of the WAL. The last writer of a transaction writes it last: that makes the transaction visible. */
export interface WalIndexHeader {
  /** Grows by one with each commit. */
  readonly changeCount: number;
  /** Are the WAL's checksums computed over big-endian words? */
  readonly bigEndian: boolean;
  /** Bytes; 0 before the first commit. */
  readonly pageSize: number;
  /** Visible frames (`mxFrame`): they end with a commit. */
  readonly frameCount: number;
  /** Pages of the database after the last of them. */
  readonly pageCount: number;
  /** Running checksum after the last of them; means nothing while there is none. */
  readonly s0: number;
  readonly s1: number;
  /** The eight bytes, as in the WAL header. */
  readonly salts: Uint8Array;
}

/** What is visible, and how much of it is in the database file. */
export interface VisibleWal {
  readonly pageSize: number;
  readonly frameCount: number;
  readonly pageCount: number;
  readonly sums: WalSums;
  readonly salt1: number;
  readonly salt2: number;
  /** Frames that are certainly in the database file. */
  readonly backfilled: number;
  /** Frames that a checkpoint has begun to copy there; at least `backfilled`, unless another checkpoint ran meanwhile. */
  readonly backfillAttempted: number;
}

/** Undefined if the two copies differ, as during a write, or are not of the supported version. */
export function decodeWalIndexHeader(bytes: Uint8Array): WalIndexHeader | undefined {
  if (bytes.length < 2 * WAL_INDEX_HEADER_SIZE) return undefined;
  const first = bytes.slice(0, WAL_INDEX_HEADER_SIZE);
  if (Buffer.compare(first, bytes.subarray(WAL_INDEX_HEADER_SIZE, 2 * WAL_INDEX_HEADER_SIZE)) !== 0) return undefined;
  const words = new Uint32Array(first.buffer);
  const [s0, s1] = nativeChecksum(words.subarray(0, 10));
  if (words[0] !== WAL_INDEX_VERSION || first[12] !== 1 || words[10] !== s0 || words[11] !== s1) return undefined;
  const stored = new Uint16Array(first.buffer)[7] ?? 0;
  return {
    changeCount: words[2] ?? 0,
    bigEndian: first[13] === 1,
    pageSize: (stored & 0xfe00) | ((stored & 1) << 16),
    frameCount: words[4] ?? 0,
    pageCount: words[5] ?? 0,
    s0: words[6] ?? 0,
    s1: words[7] ?? 0,
    salts: first.subarray(32, 40),
  };
}

/**
 * A copy is 48 bytes in shared memory, written within a microsecond: after this many attempts, the writer must have
 * been killed.
 */
const ATTEMPTS_MAX = 20;

/**
 * Reads the header through a descriptor of the `-shm`. Undefined while it cannot be read: a writer was killed in the
 * middle of it; the next connection that reads repairs it.
 *
 * `fd` must stay open as long as any connection of this process has the database open: closing it drops their locks.
 */
export function readVisibleWal(fd: number): VisibleWal | undefined {
  const bytes = new Uint8Array(WAL_INDEX_PREFIX_SIZE);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    if (readSync(fd, bytes, 0, bytes.length, 0) < bytes.length) return undefined;
    const header = decodeWalIndexHeader(bytes);
    if (header === undefined) continue;
    const view = new DataView(bytes.buffer);
    const salts = new DataView(header.salts.buffer, header.salts.byteOffset, 8);
    const isLittleEndian = endianness() === 'LE';
    return {
      pageSize: header.pageSize,
      frameCount: header.frameCount,
      pageCount: header.pageCount,
      sums: { s0: header.s0, s1: header.s1 },
      salt1: salts.getUint32(0),
      salt2: salts.getUint32(4),
      backfilled: view.getUint32(BACKFILL_OFFSET, isLittleEndian),
      backfillAttempted: view.getUint32(BACKFILL_ATTEMPTED_OFFSET, isLittleEndian),
    };
  }
  return undefined;
}

/** SQLite's WAL checksum over native words. */
export function nativeChecksum(words: Uint32Array): [number, number] {
  let s0 = 0;
  let s1 = 0;
  for (let index = 0; index < words.length; index += 2) {
    s0 = (s0 + (words[index] ?? 0) + s1) >>> 0;
    s1 = (s1 + (words[index + 1] ?? 0) + s0) >>> 0;
  }
  return [s0, s1];
}
