import { readSync } from 'node:fs';
import { SEGMENT_SIZE, SLOTS_OFFSET, SLOT_COUNT, firstFrameOf, firstSlotOf, segmentOf } from './index-segment.ts';
import { WAL_INDEX_PREFIX_SIZE } from './wal-index.ts';

/**
 * Finds the newest frame of a page in the wal-index, as `walFindFrame` of SQLite does. The time is bounded for any
 * content.
 */
export class FrameLookup {
  readonly #fd: number;
  readonly #frameCount: number;
  readonly #segments = new Map<number, { readonly pgnos: Uint32Array; readonly slots: Uint16Array }>();

  /**
   * @param fd Descriptor of the `-shm`: must not be closed while this process has the database open.
   * @param frameCount Visible frames.
   */
  constructor(fd: number, frameCount: number) {
    this.#fd = fd;
    this.#frameCount = frameCount;
  }

  /** Undefined: the page is not in the WAL. */
  find(pgno: number): number | undefined {
    if (this.#frameCount === 0) return undefined;
    for (let segment = segmentOf(this.#frameCount); segment >= 0; segment -= 1) {
      const frame = this.#findIn(segment, pgno);
      if (frame !== undefined) return frame;
    }
    return undefined;
  }

  #findIn(segment: number, pgno: number): number | undefined {
    const { pgnos, slots } = this.#load(segment);
    const before = firstFrameOf(segment);
    let found: number | undefined;
    for (let slot = firstSlotOf(pgno), count = 0; slots[slot] !== 0 && count < SLOT_COUNT; count += 1) {
      const index = slots[slot] ?? 0;
      if (pgnos[index - 1] === pgno && before + index <= this.#frameCount) found = before + index;
      slot = (slot + 1) & (SLOT_COUNT - 1);
    }
    return found;
  }

  #load(segment: number): { readonly pgnos: Uint32Array; readonly slots: Uint16Array } {
    const known = this.#segments.get(segment);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(SEGMENT_SIZE);
    readSync(this.#fd, bytes, 0, SEGMENT_SIZE, segment * SEGMENT_SIZE);
    const start = segment === 0 ? WAL_INDEX_PREFIX_SIZE : 0;
    const loaded = {
      pgnos: new Uint32Array(bytes.buffer, start, (SLOTS_OFFSET - start) / 4),
      slots: new Uint16Array(bytes.buffer, SLOTS_OFFSET),
    };
    this.#segments.set(segment, loaded);
    return loaded;
  }
}
