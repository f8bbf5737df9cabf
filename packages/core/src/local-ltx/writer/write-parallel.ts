/**
 * One large LTX file, made by several workers at once. Each takes the next batch of pages, compresses it, learns from
 * the batch before at which offset its frames begin, and writes them there; the first worker adds header, index and
 * trailer.
 */
import { closeSync, fdatasyncSync, fsyncSync, writeSync } from 'node:fs';
import { HEADER_SIZE, kernel, LtxEncoder } from '@litestream/ltx';
import { openFile } from '../../files/safe-files.ts';
import { PageReader } from '../../pages/page-source.ts';
import type { LtxJob } from './write-ltx.ts';
import { provenHeader } from './write-ltx.ts';

const BATCH_SIZE = 1 << 20;
/** Number of batches after which one worker calls `fdatasync`, while the others continue. */
const SYNC_BATCH_COUNT = 64;
/** How often a worker that waits for another one checks whether that one has failed. */
const WAIT_MS = 50;

/** What the workers share. */
export interface SharedProgress {
  readonly batchPages: number;
  readonly batchCount: number;
  /** See `At`. */
  readonly control: Int32Array;
  /** Where each batch begins in the file. */
  readonly offsets: Float64Array;
  /** CRC of each batch's frames, as the file checksum sees them. */
  readonly crcs: BigUint64Array;
  /** Bytes of each page's frame. */
  readonly sizes: Uint32Array;
}

const At = {
  /** The next batch that no worker has taken. */
  next: 0,
  /** Batches whose place in the file is known. */
  placed: 1,
  /** Batches that are written. */
  written: 2,
  /** Not 0: a worker has failed, and the others must stop. */
  failed: 3,
} as const;

export function shareProgress(job: LtxJob): SharedProgress {
  const batchPages = Math.max(1, Math.floor(BATCH_SIZE / job.header.pageSize));
  const pageCount = job.list.pgnos.length;
  const batchCount = Math.ceil(pageCount / batchPages);
  const offsets = new Float64Array(new SharedArrayBuffer(8 * (batchCount + 1)));
  offsets[0] = HEADER_SIZE;
  return {
    batchPages,
    batchCount,
    control: new Int32Array(new SharedArrayBuffer(4 * 4)),
    offsets,
    crcs: new BigUint64Array(new SharedArrayBuffer(8 * batchCount)),
    sizes: new Uint32Array(new SharedArrayBuffer(4 * pageCount)),
  };
}

/** Pages that are in the file by now. */
export function pagesWritten({ control, batchPages, sizes }: SharedProgress): number {
  return Math.min(Atomics.load(control, At.written) * batchPages, sizes.length);
}

/** The pages of a job in memory that all workers see, so that none gets a copy. */
export function shareJob(job: LtxJob): LtxJob {
  const pgnos = new Uint32Array(new SharedArrayBuffer(job.list.pgnos.byteLength));
  pgnos.set(job.list.pgnos);
  const walOffsets = new Float64Array(new SharedArrayBuffer(job.list.walOffsets.byteLength));
  walOffsets.set(job.list.walOffsets);
  return { ...job, list: { pgnos, walOffsets } };
}

/** Another worker has failed and reports why; this one ends without a report. */
class AbandonedError extends Error {
  override readonly name = 'AbandonedError';
}

/** What each worker does. The file is there, and empty. Returns its size, in bytes, to the first worker; 0 to others. */
export function writePart(job: LtxJob, progress: SharedProgress, isFirst: boolean): number {
  const fd = openFile(job.temporaryPath);
  try {
    writeBatches(fd, job, progress);
    return isFirst ? finish(fd, job, progress) : 0;
  } catch (error) {
    if (error instanceof AbandonedError) return 0;
    Atomics.store(progress.control, At.failed, 1);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function writeBatches(fd: number, job: LtxJob, progress: SharedProgress): void {
  const { control, batchPages, batchCount, offsets } = progress;
  const { pgnos } = job.list;
  const { pageSize } = job.header;
  const reader = new PageReader(job.source);
  for (;;) {
    const batch = Atomics.add(control, At.next, 1);
    if (batch >= batchCount) return;
    const start = batch * batchPages;
    const end = Math.min(start + batchPages, pgnos.length);
    const pages = kernel().input((end - start) * pageSize);
    reader.read(job.list, start, end, pages);
    const withPageHashes = job.sums !== undefined;
    const batchPgnos = pgnos.subarray(start, end);
    const encoded = kernel().encodeFrames(batchPgnos, pages, pageSize, 0n, { withPageHashes });
    const { frames, sizes, crc } = encoded;
    job.sums?.checksums.set(encoded.pageHashes, start);
    progress.sizes.set(sizes, start);
    progress.crcs[batch] = crc;
    waitFor(progress, At.placed, batch);
    const offset = offsets[batch] ?? 0;
    offsets[batch + 1] = offset + frames.length;
    advance(progress, At.placed);
    writeFully(fd, frames, offset);
    if (batch % SYNC_BATCH_COUNT === SYNC_BATCH_COUNT - 1) fdatasyncSync(fd);
    advance(progress, At.written);
  }
}

/** Header, index and trailer, from what the workers found; then all of the file is made durable. */
function finish(fd: number, job: LtxJob, progress: SharedProgress): number {
  waitFor(progress, At.written, progress.batchCount);
  const { pgnos } = job.list;
  const encoder = new LtxEncoder(provenHeader(job.header, job.sums));
  writeFully(fd, encoder.begin(), 0);
  for (let batch = 0; batch < progress.batchCount; batch += 1) {
    const start = batch * progress.batchPages;
    const end = Math.min(start + progress.batchPages, pgnos.length);
    encoder.appendCompressed(
      pgnos.subarray(start, end),
      progress.sizes.subarray(start, end),
      progress.crcs[batch] ?? 0n,
    );
  }
  const offset = encoder.size;
  writeFully(fd, encoder.finish(), offset);
  fsyncSync(fd);
  return encoder.size;
}

function advance({ control }: SharedProgress, at: number): void {
  Atomics.add(control, at, 1);
  Atomics.notify(control, at);
}

function waitFor({ control }: SharedProgress, at: number, count: number): void {
  for (let now = Atomics.load(control, at); now < count; now = Atomics.load(control, at)) {
    if (Atomics.load(control, At.failed) !== 0) throw new AbandonedError();
    Atomics.wait(control, at, now, WAIT_MS);
  }
}

function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}
