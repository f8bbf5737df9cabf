/**
 * Decodes a range of frames and writes the pages it owns: the inner loop of a restore, on the main thread or in a
 * worker.
 */
import { openSync, closeSync, readSync, writeSync } from 'node:fs';
import { OPEN_EXISTING } from '../../files/safe-files.ts';
import { kernel, LtxError } from '@litestream/ltx';
import type { DecodedFrames } from '@litestream/ltx';
import type { WriteLock } from './write-lock.ts';
import type { RangeResult, RangeTask } from './range-task.ts';

/** Decoded bytes of one kernel call: large enough to amortise it, small enough to stay in cache. */
const BATCH_SIZE = 512 << 10;
const BATCH_PAGE_COUNT_MAX = 512;
const CHECKSUM_MASK = (1n << 63n) - 1n;
const ZEROS = new Uint8Array(65_536);

/** Keeps the last file open: ranges of one file come one after the other. */
export class RangeDecoder {
  #path: string | undefined;
  #descriptor = -1;
  readonly #lock: WriteLock | undefined;

  /** `lock`: taken around every write, where other threads write to the same output. */
  constructor(lock?: WriteLock) {
    this.#lock = lock;
  }

  decode(task: RangeTask): RangeResult {
    const { pageSize, pgnos, sizes } = task;
    const batchPageCount = Math.min(BATCH_PAGE_COUNT_MAX, Math.max(1, Math.floor(BATCH_SIZE / pageSize)));
    let crc = 0n;
    let crcLength = 0;
    let pagesWritten = 0;
    let databaseChecksum = 0n;
    let done = 0;
    for (let at = 0; done < pgnos.length;) {
      const size = sumOf(sizes, done, done + batchPageCount);
      const options = { withPageHashes: task.summed === 'hashes' };
      const batch = kernel().decodeFrames(this.#frames(task, at, size), pageSize, crc, batchPageCount, options);
      if (batch.count === 0) throw new LtxError('BAD_INDEX', 'the page index names more pages than there are');
      crc = batch.crc;
      crcLength += batch.crcLength;
      for (let index = 0; index < batch.count; index++) {
        if (batch.pgnos[index] !== pgnos[done + index] || batch.sizes[index] !== sizes[done + index]) {
          throw new LtxError('BAD_INDEX', `the page index does not match page ${batch.pgnos[index]}`);
        }
      }
      const { pages } = batch;
      const write = (): void => void (pagesWritten += writeOwned(task, done, batch.count, pages));
      if (this.#lock === undefined) write();
      else this.#lock.hold(write);
      databaseChecksum ^= xorOfOwned(task, done, checksumsOf(task, done, batch));
      at += batch.consumed;
      done += batch.count;
    }
    return { crc, crcLength, pageCount: done, pagesWritten, databaseChecksum };
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
    this.#path = undefined;
  }

  /** `size` bytes of the range from `at`, read straight into the kernel's memory where they are in a file. */
  #frames({ source }: RangeTask, at: number, size: number): Uint8Array {
    if (source instanceof Uint8Array) return source.subarray(at, at + size);
    const { path, offset } = source;
    if (this.#path !== path) {
      this.close();
      this.#descriptor = openSync(path, OPEN_EXISTING.read);
      this.#path = path;
    }
    const frames = kernel().input(size);
    for (let done = 0; done < size;) {
      const count = readSync(this.#descriptor, frames, done, size - done, offset + at + done);
      if (count === 0) throw new LtxError('TRUNCATED', 'the file ends within its pages');
      done += count;
    }
    return frames;
  }
}

function sumOf(sizes: Uint32Array, from: number, to: number): number {
  let sum = 0;
  for (let index = from; index < Math.min(to, sizes.length); index++) sum += sizes[index] ?? 0;
  return sum;
}

/** Writes runs of neighbouring owned pages with one call each; all-zero pages stay holes in the fresh output. */
function writeOwned(task: RangeTask, first: number, count: number, pages: Uint8Array): number {
  const { pgnos, owned } = task;
  let written = 0;
  for (let from = 0; from < count;) {
    if (owned[first + from] !== 1) {
      from++;
      continue;
    }
    const pgno = pgnos[first + from] ?? 0;
    let to = from + 1;
    while (to < count && owned[first + to] === 1 && pgnos[first + to] === pgno + (to - from)) to++;
    writeRun(task, first, from, to, pages);
    written += to - from;
    from = to;
  }
  return written;
}

function writeRun(task: RangeTask, first: number, from: number, to: number, pages: Uint8Array): void {
  const { pageSize, sizes } = task;
  const position = ((task.pgnos[first + from] ?? 0) - 1) * pageSize;
  let start = from;
  for (let index = from; index <= to; index++) {
    const isHole = index < to && maybeZero(sizes[first + index] ?? 0, pageSize) && isZero(pages, index, pageSize);
    if (index < to && !isHole) continue;
    if (index > start) {
      writeFully(task.output, pages.subarray(start * pageSize, index * pageSize), position + (start - from) * pageSize);
    }
    start = index + 1;
  }
}

/** A page of zeros compresses to about 1/255: only such small frames are looked at. */
function maybeZero(frameSize: number, pageSize: number): boolean {
  return frameSize <= 48 + pageSize / 200;
}

function isZero(pages: Uint8Array, index: number, pageSize: number): boolean {
  return Buffer.compare(pages.subarray(index * pageSize, (index + 1) * pageSize), ZEROS.subarray(0, pageSize)) === 0;
}

function writeFully(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
  }
}

/** The checksum of each page of a batch, for the database checksum; empty if there is none to compare. */
function checksumsOf({ summed, pgnos, pageSize }: RangeTask, first: number, batch: DecodedFrames): BigUint64Array {
  if (summed !== 'checksums') return batch.pageHashes;
  return kernel().pageChecksums(pgnos.subarray(first, first + batch.count), batch.pages, pageSize);
}

/** Xor of the checksums of the pages that the range owns, without the flag. */
function xorOfOwned({ owned }: RangeTask, first: number, checksums: BigUint64Array): bigint {
  // 32 bits at a time: bigint arithmetic is many times slower.
  const words = new Uint32Array(checksums.buffer, checksums.byteOffset, 2 * checksums.length);
  let low = 0;
  let high = 0;
  for (let index = 0; index < checksums.length; index++) {
    if (owned[first + index] !== 1) continue;
    low ^= words[2 * index] as number;
    high ^= words[2 * index + 1] as number;
  }
  return ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) & CHECKSUM_MASK;
}
