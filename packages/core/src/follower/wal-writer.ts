import { randomBytes } from 'node:crypto';
import { fdatasync, readSync, writeSync } from 'node:fs';
import { endianness } from 'node:os';
import { promisify } from 'node:util';
import { kernel } from '@litestream/ltx';
import { LitestreamError } from '../util/error.ts';
import { encodeWalHeader, decodeWalHeader, WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE } from '../sqlite/wal/wal-header.ts';
import type { WalIndex, WalIndexAppender, WalIndexHeader } from '../sqlite/wal/wal-index-image.ts';

const datasync = promisify(fdatasync);
/** Bytes of frames gathered for one write. */
const BUFFER_SIZE = 512 << 10;

/**
 * Appends one transaction to a WAL as SQLite does: frames, then the wal-index, and last the wal-index header, which
 * makes them visible. If it is abandoned or killed before that, the bytes that it leaves are not read, and the next
 * transaction overwrites them. The caller holds SQLite's write lock all the time.
 */
export class WalWriter {
  readonly #index: WalIndex;
  readonly #fd: number;
  readonly #pageSize: number;
  readonly #before: WalIndexHeader;
  readonly #appender: WalIndexAppender;
  readonly #salts: Uint8Array;
  readonly #bigEndian: boolean;
  readonly #buffer: Buffer;
  readonly #pending: { pgno: number; readonly page: Uint8Array };
  #hasPending = false;
  #buffered = 0;
  #s0: number;
  #s1: number;
  #frameCount: number;
  #position: number;

  /** Pages of the database before this transaction. */
  readonly pageCountBefore: number;

  /** `fd`: the WAL, open for reading and writing. `fileSize`: size of the database file in bytes. */
  constructor(index: WalIndex, fd: number, pageSize: number, fileSize: number) {
    this.#index = index;
    this.#fd = fd;
    this.#pageSize = pageSize;
    const before = index.readHeader();
    this.#before = before;
    // While the WAL is empty, the database file alone is the database.
    this.pageCountBefore = before.frameCount > 0 ? before.pageCount : Math.floor(fileSize / pageSize);
    this.#frameCount = before.frameCount;
    this.#appender = index.appender(before.frameCount);
    const frameSize = WAL_FRAME_HEADER_SIZE + pageSize;
    this.#buffer = Buffer.alloc(Math.max(1, Math.floor(BUFFER_SIZE / frameSize)) * frameSize);
    this.#pending = { pgno: 0, page: new Uint8Array(pageSize) };
    if (before.frameCount > 0) {
      checkContinues(fd, before, pageSize);
      this.#bigEndian = before.bigEndian;
      this.#salts = before.salts;
      this.#s0 = before.s0;
      this.#s1 = before.s1;
    } else {
      // All frames in the file are in the database file already: the WAL restarts, as `walRestartHdr` in `wal.c` does it.
      this.#bigEndian = endianness() === 'BE';
      this.#salts = before.salts.some((byte) => byte !== 0) ? before.salts : randomBytes(8);
      const { bytes, s0, s1 } = encodeWalHeader({
        bigEndian: this.#bigEndian,
        pageSize,
        checkpointSequence: ((readWalHeader(fd)?.checkpointSequence ?? -1) + 1) >>> 0,
        salts: this.#salts,
      });
      this.#s0 = s0;
      this.#s1 = s1;
      writeFully(fd, bytes, 0);
    }
    this.#position = WAL_HEADER_SIZE + before.frameCount * frameSize;
  }

  /** Pages added so far. */
  get count(): number {
    return this.#frameCount - this.#before.frameCount + (this.#hasPending ? 1 : 0);
  }

  /** Adds the new content of a page. Each page at most once. */
  add(pgno: number, page: Uint8Array): void {
    if (this.#hasPending) this.#writeFrame(0);
    this.#pending.pgno = pgno;
    this.#pending.page.set(page);
    this.#hasPending = true;
  }

  /** Makes the pages durable, then visible, as one transaction. Resolves to the wal-index header of the transaction. */
  async commit(pageCount: number): Promise<WalIndexHeader> {
    if (!this.#hasPending) throw new Error('a transaction holds at least one page');
    this.#writeFrame(pageCount);
    this.#flush();
    await datasync(this.#fd);
    this.#appender.flush();
    const header: WalIndexHeader = {
      changeCount: (this.#before.changeCount + 1) >>> 0,
      bigEndian: this.#bigEndian,
      pageSize: this.#pageSize,
      frameCount: this.#frameCount,
      pageCount,
      s0: this.#s0,
      s1: this.#s1,
      salts: this.#salts,
    };
    this.#index.writeHeader(header);
    return header;
  }

  #writeFrame(commit: number): void {
    const { pgno, page } = this.#pending;
    const frameSize = WAL_FRAME_HEADER_SIZE + this.#pageSize;
    if (this.#buffered + frameSize > this.#buffer.length) this.#flush();
    const frame = this.#buffer.subarray(this.#buffered, this.#buffered + frameSize);
    frame.writeUInt32BE(pgno, 0);
    frame.writeUInt32BE(commit, 4);
    frame.set(this.#salts, 8);
    frame.set(page, WAL_FRAME_HEADER_SIZE);
    const start = kernel().walChecksum(frame.subarray(0, 8), this.#bigEndian, this.#s0, this.#s1);
    const sums = kernel().walChecksum(page, this.#bigEndian, start.s0, start.s1);
    this.#s0 = sums.s0;
    this.#s1 = sums.s1;
    frame.writeUInt32BE(sums.s0, 16);
    frame.writeUInt32BE(sums.s1, 20);
    this.#buffered += frameSize;
    this.#frameCount++;
    this.#appender.append(pgno);
    this.#hasPending = false;
  }

  #flush(): void {
    writeFully(this.#fd, this.#buffer.subarray(0, this.#buffered), this.#position);
    this.#position += this.#buffered;
    this.#buffered = 0;
  }
}

/** The wal-index and the WAL must be of the same generation, or no connection would read the appended frames. */
function checkContinues(fd: number, before: WalIndexHeader, pageSize: number): void {
  const header = readWalHeader(fd);
  const salts = Buffer.alloc(8);
  salts.writeUInt32BE(header?.salt1 ?? 0, 0);
  salts.writeUInt32BE(header?.salt2 ?? 0, 4);
  if (header?.pageSize === pageSize && before.pageSize === pageSize && salts.equals(before.salts)) return;
  throw new LitestreamError('the WAL of the copy and its wal-index do not match', {
    code: 'DATABASE_INVALID',
    operation: 'follow',
    hint: 'Delete the copy and its -txid file, then restart to restore it from scratch. Let only SQLite touch the -wal file.',
  });
}

function readWalHeader(fd: number): ReturnType<typeof decodeWalHeader> {
  const bytes = new Uint8Array(WAL_HEADER_SIZE);
  return readSync(fd, bytes, 0, bytes.length, 0) < bytes.length ? undefined : decodeWalHeader(bytes);
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
