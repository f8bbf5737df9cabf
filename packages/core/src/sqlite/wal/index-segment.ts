/**
 * A segment of the wal-index (`-shm`): the page numbers of up to 4096 frames, and a hash table of them. Layout and hash are
 * those of SQLite's "WAL-mode File Format", section 2.2, and of `wal.c`, version 3007000, unchanged since 2010.
 */
import { WAL_INDEX_PREFIX_SIZE as PREFIX_SIZE } from './wal-index.ts';

export const SEGMENT_SIZE = 32_768;
const SEGMENT_FRAME_COUNT = 4096;
/** The header of the wal-index takes the space of the first page numbers. */
const FIRST_SEGMENT_FRAME_COUNT: number = SEGMENT_FRAME_COUNT - PREFIX_SIZE / 4;
export const SLOT_COUNT = 8192;
/** Where the hash table starts in a segment. */
export const SLOTS_OFFSET: number = SEGMENT_FRAME_COUNT * 4;

export function segmentOf(frame: number): number {
  return Math.floor((frame + SEGMENT_FRAME_COUNT - FIRST_SEGMENT_FRAME_COUNT - 1) / SEGMENT_FRAME_COUNT);
}

/** The frame before the first one of a segment. */
export function firstFrameOf(segment: number): number {
  return segment === 0 ? 0 : FIRST_SEGMENT_FRAME_COUNT + (segment - 1) * SEGMENT_FRAME_COUNT;
}

/** Where the search for a page begins in the hash table. */
export function firstSlotOf(pgno: number): number {
  return (Math.imul(pgno, 383) >>> 0) & (SLOT_COUNT - 1);
}
