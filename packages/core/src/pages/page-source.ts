import { readSync } from 'node:fs';
import { WAL_FRAME_HEADER_SIZE } from '../sqlite/wal/wal-header.ts';

/** Where pages of one state of a database are read from: frames of one generation of the WAL, and the database file. */
export interface PageSource {
  readonly pageSize: number;
  readonly databaseFd: number;
  readonly walFd: number;
  /** The generation that the offsets belong to. */
  readonly salt1: number;
  readonly salt2: number;
  /** Offset of those salts as long as no frame is overwritten: in the WAL header, or in the first frame of a tail. */
  readonly saltsOffset: number;
  /**
   * Does the state end at the end of the WAL, so that a restart of the WAL leaves exactly this state in the database
   * file?
   */
  readonly endsAtLogEnd: boolean;
}

/** The WAL restarted before all pages of an earlier state were read. */
export class WalRestartedError extends Error {
  override readonly name = 'WalRestartedError';
}

/** A run of pages: `walOffsets[i]` is the frame of page `pgnos[i]`, 0 where the database file has the page. */
export interface PageList {
  readonly pgnos: Uint32Array;
  readonly walOffsets: Float64Array;
}

/** Pages of one state of the database. Plain data: it can be sent to a worker. */
export interface PageScan {
  readonly source: PageSource;
  readonly list: PageList;
}

/**
 * Reads pages of one state of the database while others write.
 *
 * Under a read transaction that began before the end of the state was read, a page is either in a frame up to that end
 * or, in its final version, in the database file; and the WAL can only restart once all of it is in the database file.
 * So if the header has other salts after a read, all pages are read from the database file
 * (docs/decisions/0010-reading-a-live-database.md).
 */
export class PageReader {
  readonly #source: PageSource;
  readonly #salts = Buffer.alloc(8);
  #restarted = false;

  constructor(source: PageSource) {
    this.#source = source;
  }

  /** Reads `list[start … end)` into `target`, one page after the other. */
  read(list: PageList, start: number, end: number, target: Uint8Array): void {
    if (!this.#restarted) {
      const complete = this.#readPages(list, start, end, target);
      if (complete && this.#sameGeneration()) return;
      if (!this.#source.endsAtLogEnd) throw new WalRestartedError('the WAL restarted while it was read');
      this.#restarted = true;
    }
    this.#readPages(list, start, end, target);
  }

  /** False if the WAL ends before a frame. Neighbouring pages of the database file are read with one call. */
  #readPages(list: PageList, start: number, end: number, target: Uint8Array): boolean {
    const { pageSize, databaseFd, walFd } = this.#source;
    for (let index = start; index < end;) {
      const walOffset = this.#restarted ? 0 : (list.walOffsets[index] as number);
      const at = (index - start) * pageSize;
      if (walOffset > 0) {
        const page = target.subarray(at, at + pageSize);
        if (readFully(walFd, page, walOffset + WAL_FRAME_HEADER_SIZE) < pageSize) return false;
        index++;
        continue;
      }
      const first = list.pgnos[index] as number;
      let count = 1;
      while (
        index + count < end &&
        list.pgnos[index + count] === first + count &&
        (this.#restarted || list.walOffsets[index + count] === 0)
      )
        count++;
      const pages = target.subarray(at, at + count * pageSize);
      const size = readFully(databaseFd, pages, (first - 1) * pageSize);
      // The page is allocated but was never written: SQLite, too, reads zeros past the end of the file.
      pages.fill(0, size);
      index += count;
    }
    return true;
  }

  #sameGeneration(): boolean {
    const { walFd, salt1, salt2, saltsOffset } = this.#source;
    if (readFully(walFd, this.#salts, saltsOffset) < 8) return false;
    return this.#salts.readUInt32BE(0) === salt1 && this.#salts.readUInt32BE(4) === salt2;
  }
}

function readFully(fd: number, target: Uint8Array, offset: number): number {
  let done = 0;
  while (done < target.length) {
    const count = readSync(fd, target, done, target.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
