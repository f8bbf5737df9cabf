import type { LtxHeader } from '@litestream/ltx';
import { WAL_HEADER_SIZE } from '../wal/wal-header.ts';

/** "LS": marks a node id of ours, whose other bits are an offset. Upstream leaves node ids zero. */
const MARKER = 0x4c53n;
const OFFSET_BITS = 48n;

/** Upstream reads no more of the log than this at once (its default `max-sync-wal-bytes`). */
const UPSTREAM_READ_SIZE_MAX = 64 * 1024 * 1024;

/** Frames of the log that a level-0 file was cut from. */
export interface LogPlace {
  readonly startOffset: number;
  /** After the last frame. */
  readonly endOffset: number;
}

/**
 * The header fields that say where in the log a level-0 file ends.
 *
 * Upstream 0.5.17, when it starts, looks for the last frame that such a file names. It goes on after it if the log is the
 * same, but also if the log restarted and has not overwritten that frame yet; and then the commits that stood behind the
 * frame are lost without a word. A file that names the beginning of the log has no such frame: upstream reads the same
 * log once more from its beginning, and makes a snapshot if it is another one. The true end goes where it does not look.
 *
 * A log that upstream would read in parts is left with its true place: read again in parts, it would pass through states
 * that never were.
 */
export function logPlaceFields(place: LogPlace): Pick<LtxHeader, 'walOffset' | 'walSize' | 'nodeId'> {
  const { startOffset, endOffset } = place;
  if (endOffset >= UPSTREAM_READ_SIZE_MAX) {
    return { walOffset: startOffset, walSize: endOffset - startOffset, nodeId: MARKER << OFFSET_BITS };
  }
  return { walOffset: WAL_HEADER_SIZE, walSize: 0, nodeId: (MARKER << OFFSET_BITS) | BigInt(endOffset) };
}

/** Did this project cut the file from a log? */
export function isOurs(header: Pick<LtxHeader, 'nodeId'>): boolean {
  return header.nodeId >> OFFSET_BITS === MARKER;
}

/** Offset in the log after the last frame that a level-0 file, of ours or of upstream's, was cut from. */
export function endOffsetOf(header: Pick<LtxHeader, 'walOffset' | 'walSize' | 'nodeId' | 'pageSize'>): number {
  const kept = isOurs(header) ? Number(BigInt.asUintN(Number(OFFSET_BITS), header.nodeId)) : 0;
  return kept > 0 ? kept : header.walOffset + header.walSize;
}
