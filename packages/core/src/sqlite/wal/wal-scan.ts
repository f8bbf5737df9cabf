import { kernel } from '@litestream/ltx';
import type { WalFile } from './wal-file.ts';
import type { WalHeader, WalSums } from './wal-header.ts';
import { WAL_FRAME_HEADER_SIZE } from './wal-header.ts';

const FIRST_READ_SIZE = 128 * 1024;
/** Maximum bytes of one kernel call: frames are read directly into the memory where they are checked. */
const READ_SIZE_MAX = 1024 * 1024;

/** The committed frames after an offset. */
export interface WalScan {
  /** Page number → offset of the page's last committed frame. Pages past `commit` are dropped. */
  readonly pages: Map<number, number>;
  /** After the last commit frame; the start if there is none. */
  readonly endOffset: number;
  /** Database size after the last commit, in pages; 0 if there is no commit. */
  readonly commit: number;
  /** Cumulative checksum after the last commit. */
  readonly sums: WalSums;
  /** Where the last transaction begins; undefined if there is no commit. */
  readonly lastStart: WalScanStart | undefined;
  /** Stopped at a commit because `sizeMax` was reached: there may be more. */
  readonly limited: boolean;
  /** Bytes of valid frames after the last commit: a transaction in progress, or one that was rolled back. */
  readonly uncommittedSize: number;
}

/** Where a scan begins: an offset between frames, and the cumulative checksum there. */
export interface WalScanStart {
  readonly offset: number;
  readonly sums: WalSums;
}

/**
 * Reads the frames of this generation of the WAL (salts and cumulative checksum match) up to the last commit.
 *
 * Yields between reads, so that a caller may let the event loop run. The caller must compare the header again
 * afterwards: if the WAL restarted meanwhile, the result is void.
 */
export function* scanWal(
  wal: WalFile,
  header: Pick<WalHeader, 'pageSize' | 'bigEndian' | 'salt1' | 'salt2'>,
  start: WalScanStart,
  limits: { sizeMax?: number; endOffsetMax?: number } = {},
): Generator<undefined, WalScan, unknown> {
  const frameSize = WAL_FRAME_HEADER_SIZE + header.pageSize;
  const pages = new Map<number, number>();
  let pending: [pgno: number, offset: number][] = [];
  let { s0, s1 } = start.sums;
  let offset = start.offset;
  let endOffset = start.offset;
  let endSums = start.sums;
  let commit = 0;
  let lastOffset: number | undefined;
  let limited = false;
  let readSize = FIRST_READ_SIZE;

  scan: for (;;) {
    const room = (limits.endOffsetMax ?? Number.POSITIVE_INFINITY) - offset;
    const framesWanted = Math.min(Math.max(1, Math.floor(readSize / frameSize)), Math.floor(room / frameSize));
    if (framesWanted === 0) break;
    const buffer = kernel().input(framesWanted * frameSize);
    const size = wal.read(buffer, offset);
    const wholeSize = size - (size % frameSize);
    if (wholeSize === 0) break;
    const bytes = buffer.subarray(0, wholeSize);
    const found = kernel().walFrames(bytes, header.pageSize, header.bigEndian, header.salt1, header.salt2, s0, s1);
    ({ s0, s1 } = found);
    for (let index = 0; index < found.count; index++) {
      const frameOffset = offset + index * frameSize;
      pending.push([found.pgnos[index] as number, frameOffset]);
      const size = found.commits[index] as number;
      if (size === 0) continue;
      lastOffset = pending[0]?.[1];
      for (const [pgno, at] of pending) pages.set(pgno, at);
      pending = [];
      commit = size;
      endOffset = frameOffset + frameSize;
      if (limits.sizeMax !== undefined && endOffset - start.offset >= limits.sizeMax) {
        limited = true;
        endSums = sumsBefore(wal, endOffset, frameSize);
        break scan;
      }
    }
    if (found.lastCommit >= 0) endSums = { s0: found.commitS0, s1: found.commitS1 };
    offset += found.count * frameSize;
    if (found.count < framesWanted) break;
    readSize = READ_SIZE_MAX;
    yield;
  }

  for (const pgno of pages.keys()) if (pgno > commit) pages.delete(pgno);
  const uncommittedSize = pending.length * frameSize;
  return { pages, endOffset, commit, sums: endSums, lastStart: lastStart(), limited, uncommittedSize };

  function lastStart(): WalScanStart | undefined {
    if (lastOffset === undefined) return undefined;
    if (lastOffset === start.offset) return start;
    return { offset: lastOffset, sums: sumsBefore(wal, lastOffset, frameSize) };
  }
}

/** The sums of a frame that was just verified. If the WAL has restarted since, the salts show that to the caller. */
function sumsBefore(wal: WalFile, endOffset: number, frameSize: number): WalSums {
  const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE);
  wal.read(frame, endOffset - frameSize);
  return storedSums(frame);
}

/** The cumulative checksum in a frame header. */
export function storedSums(bytes: Uint8Array, offset = 0): WalSums {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, WAL_FRAME_HEADER_SIZE);
  return { s0: view.getUint32(16), s1: view.getUint32(20) };
}
