import type { LtxHeader } from '@litestream/ltx';
import type { WalSums } from './wal-header.ts';
import { WAL_HEADER_SIZE } from './wal-header.ts';

/** Litestream (Go) reads no more of the WAL than this at once (its default `max-sync-wal-bytes`). */
const GO_READ_SIZE_MAX = 64 * 1024 * 1024;

/** Frames of the WAL that a level-0 file was read from. */
export interface WalRange {
  readonly startOffset: number;
  /** After the last frame. */
  readonly endOffset: number;
  /** Running checksum after the last frame; that of the WAL header if there is no frame. */
  readonly sums: WalSums;
  /** Checksum of the database before these frames; 0 if it is not known. */
  readonly databaseChecksumBefore: bigint;
}

type WalFields = Pick<LtxHeader, 'walOffset' | 'walSize' | 'nodeId' | 'extension'>;

/**
 * The header fields that state, and prove, where in the WAL a level-0 file ends: the offset in the extension, and the
 * WAL's running checksum in the node ID, which Litestream (Go) leaves zero and ignores.
 *
 * At its start, Litestream (Go), also 0.5.18, looks for the last frame that such a file names. It continues after that
 * frame if the WAL is the same, but also if the WAL restarted and has not overwritten that frame yet: then the commits
 * behind the frame are lost silently. A file that names the beginning of the WAL has no such frame: Go reads the same
 * WAL again from its beginning, and takes a snapshot if it is another WAL. So the true end is stored where Go does not
 * read it.
 *
 * Files of a WAL that Go would read in parts keep their true offsets: read again in parts, the WAL would pass through
 * states that never existed.
 */
export function walEndFields({ startOffset, endOffset, sums, databaseChecksumBefore }: WalRange): WalFields {
  const isLong = endOffset >= GO_READ_SIZE_MAX;
  return {
    walOffset: isLong ? startOffset : WAL_HEADER_SIZE,
    walSize: isLong ? endOffset - startOffset : 0,
    nodeId: (BigInt(sums.s0) << 32n) | BigInt(sums.s1),
    extension: {
      walEndOffset: endOffset,
      databaseChecksum: 0n,
      previousChecksumHigh: Number(databaseChecksumBefore >> 32n),
    },
  };
}

/** Did this project write the level-0 file? */
export function isOurs(header: Pick<LtxHeader, 'extension'>): boolean {
  return header.extension !== undefined;
}

/** Offset in the WAL after the last frame that a level-0 file, of this project or of Litestream (Go), was read from. */
export function endOffsetOf(header: Pick<LtxHeader, 'walOffset' | 'walSize' | 'extension'>): number {
  return header.extension?.walEndOffset ?? header.walOffset + header.walSize;
}

/** The WAL's running checksum at that offset; undefined in files of Litestream (Go). */
export function endSumsOf(header: Pick<LtxHeader, 'nodeId' | 'extension'>): WalSums | undefined {
  if (header.extension?.walEndOffset === undefined) return undefined;
  return { s0: Number(header.nodeId >> 32n), s1: Number(header.nodeId & 0xffff_ffffn) };
}

export function sameSums(a: WalSums, b: WalSums): boolean {
  return a.s0 === b.s0 && a.s1 === b.s1;
}
