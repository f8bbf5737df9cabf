/**
 * The wal-index (`-shm`): which pages the frames of a WAL hold, and how many frames are visible. Layout and hash are
 * those of SQLite's documents "WAL-mode File Format" (section 2) and of `wal.c`, version 3007000, unchanged since 2010.
 * All numbers are in the machine's byte order.
 */
import { readSync, writeSync } from 'node:fs';
import { LitestreamError } from '../../util/error.ts';
import {
  WAL_INDEX_HEADER_SIZE as HEADER_SIZE,
  WAL_INDEX_PREFIX_SIZE as PREFIX_SIZE,
  WAL_INDEX_VERSION,
  decodeWalIndexHeader,
  nativeChecksum,
} from './wal-index.ts';
import { SEGMENT_SIZE, SLOTS_OFFSET, SLOT_COUNT, firstFrameOf, firstSlotOf, segmentOf } from './index-segment.ts';
import type { WalIndexHeader } from './wal-index.ts';

export type { WalIndexHeader } from './wal-index.ts';

/**
 * The index of one database, through a descriptor of its `-shm`. To write to it, hold SQLite's write lock with a
 * connection of this process. Readers map the same file, so they see each write at once.
 */
export class WalIndex {
  readonly #fd: number;
  readonly #path: string;

  /** `fd` must never be closed while this process has SQLite connections to the database. */
  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** Throws `DATABASE_INVALID` unless it is a valid wal-index of the supported version. */
  readHeader(): WalIndexHeader {
    const bytes = new Uint8Array(2 * HEADER_SIZE);
    const size = readSync(this.#fd, bytes, 0, bytes.length, 0);
    const header = size === bytes.length ? decodeWalIndexHeader(bytes) : undefined;
    if (header === undefined) throw unknownIndex(this.#path);
    return header;
  }

  /**
   * Makes the frames up to `frameCount` visible. Writes both copies in one call: if the process is killed before or
   * after it, the header is complete, and a reader in the middle sees two copies that differ and reads again.
   */
  writeHeader(header: WalIndexHeader): void {
    const bytes = new Uint8Array(2 * HEADER_SIZE);
    const words = new Uint32Array(bytes.buffer);
    words[0] = WAL_INDEX_VERSION;
    words[2] = header.changeCount;
    bytes[12] = 1;
    bytes[13] = header.bigEndian ? 1 : 0;
    new Uint16Array(bytes.buffer)[7] = (header.pageSize & 0xff00) | (header.pageSize >>> 16);
    words.set([header.frameCount, header.pageCount, header.s0, header.s1], 4);
    bytes.set(header.salts, 32);
    words.set(nativeChecksum(words.subarray(0, 10)), 10);
    bytes.copyWithin(HEADER_SIZE, 0, HEADER_SIZE);
    writeFully(this.#fd, bytes, 0);
  }

  /** Number of frames that a checkpoint has copied to the database file. */
  readBackfilledCount(): number {
    const word = new Uint32Array(1);
    readSync(this.#fd, word, 0, 4, 2 * HEADER_SIZE);
    return word[0] ?? 0;
  }

  /** An appender for frames after `frameCount`; they are not visible until the header includes them. */
  appender(frameCount: number): WalIndexAppender {
    return new WalIndexAppender(this.#fd, frameCount);
  }
}

/** Appends frames in order, with one segment of 4096 frames in memory. */
export class WalIndexAppender {
  readonly #fd: number;
  #frame: number;
  #segment: number;
  #bytes: Uint8Array;
  #changed = false;

  constructor(fd: number, frameCount: number) {
    this.#fd = fd;
    this.#frame = frameCount;
    this.#segment = segmentOf(frameCount + 1);
    this.#bytes = this.#load(this.#segment, frameCount - firstFrameOf(this.#segment));
  }

  append(pgno: number): void {
    this.#frame++;
    const segment = segmentOf(this.#frame);
    if (segment !== this.#segment) {
      this.flush();
      this.#segment = segment;
      this.#bytes = new Uint8Array(SEGMENT_SIZE);
    }
    const slots = new Uint16Array(this.#bytes.buffer, SLOTS_OFFSET);
    const index = this.#frame - firstFrameOf(segment);
    let slot = firstSlotOf(pgno);
    // At most half of the slots are taken, so this ends.
    while (slots[slot] !== 0) slot = (slot + 1) & (SLOT_COUNT - 1);
    slots[slot] = index;
    this.#pgnos(segment)[index - 1] = pgno;
    this.#changed = true;
  }

  /** Writes the appended frames. Existing bytes are written unchanged, so a reader sees no change. */
  flush(): void {
    if (!this.#changed) return;
    const start = this.#segment === 0 ? PREFIX_SIZE : 0;
    writeFully(this.#fd, this.#bytes.subarray(start), this.#segment * SEGMENT_SIZE + start);
    this.#changed = false;
  }

  /**
   * A segment with its first `count` frames; entries behind them, of a writer that was killed or stopped, are dropped.
   */
  #load(segment: number, count: number): Uint8Array {
    const bytes = new Uint8Array(SEGMENT_SIZE);
    if (count === 0) return bytes;
    readSync(this.#fd, bytes, 0, SEGMENT_SIZE, segment * SEGMENT_SIZE);
    const slots = new Uint16Array(bytes.buffer, SLOTS_OFFSET);
    for (const [slot, index] of slots.entries()) if (index > count) slots[slot] = 0;
    this.#pgnos(segment, bytes).fill(0, count);
    return bytes;
  }

  #pgnos(segment: number, bytes: Uint8Array = this.#bytes): Uint32Array {
    const start = segment === 0 ? PREFIX_SIZE : 0;
    return new Uint32Array(bytes.buffer, start, (SLOTS_OFFSET - start) / 4);
  }
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

function unknownIndex(path: string): LitestreamError {
  return new LitestreamError(`the wal-index of the copy is not valid: ${path}`, {
    code: 'DATABASE_INVALID',
    operation: 'follow',
    object: path,
    hint: 'Keep the copy on a local file system. Delete the copy and its -txid file to restore it from scratch.',
  });
}
