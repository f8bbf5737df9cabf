import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LtxHeader } from '@litestream/ltx';
import { CHECKSUM_FLAG, HEADER_SIZE, LtxEncoder } from '@litestream/ltx';
import { xorOf } from '../../pages/page-ledger.ts';
import { OPEN_FOLDER, createFile } from '../../files/safe-files.ts';
import type { Ownership } from '../../files/safe-files.ts';
import type { PageList, PageSource } from '../../pages/page-source.ts';
import { PageReader } from '../../pages/page-source.ts';
import type { Steps } from '../../util/cooperative.ts';
import { durable } from '../../util/cooperative.ts';

const BATCH_SIZE = 1024 * 1024;

/** The content of an LTX file: pages of one state of a live database. Plain data: it can be sent to a worker. */
export interface LtxContent {
  readonly header: LtxHeader;
  readonly source: PageSource;
  /** Ascending, without the lock page. */
  readonly list: PageList;
}

/** The parts from which the database checksum of a file is computed. */
export interface PageSums {
  /** Xor of the checksums of all pages of the database that are not in the file. */
  readonly others: bigint;
  /** Checksums of the pages in the file, in order: filled in while the file is written. */
  readonly checksums: BigUint64Array;
}

/** One LTX file to be made from a live database. */
export interface LtxJob extends LtxContent {
  /** Undefined: the file states no checksum of the database after it. */
  readonly sums?: PageSums | undefined;
  /** The file is written to this path and made durable. */
  readonly temporaryPath: string;
  readonly ownership: Pick<Ownership, 'fileMode' | 'uid' | 'gid'>;
}

/** Allocates shared memory for the checksums of this many pages, which workers fill in, too. */
export function sumsOf(pageCount: number, others: bigint): PageSums {
  return { others, checksums: new BigUint64Array(new SharedArrayBuffer(8 * pageCount)) };
}

/** Checksum of the database after the file, once all of its pages were read. */
export function databaseChecksumOf({ others, checksums }: PageSums): bigint {
  return CHECKSUM_FLAG | (others ^ xorOf(checksums));
}

/** The header, with the database checksum in it. */
export function provenHeader(header: LtxHeader, sums: PageSums | undefined): LtxHeader {
  if (sums === undefined || header.extension === undefined) return header;
  return { ...header, extension: { ...header.extension, databaseChecksum: databaseChecksumOf(sums) } };
}

/**
 * Reads and encodes the pages in batches. Gives the same bytes each time, as long as the state can be read. Each chunk
 * is a view that is valid until the next one is requested. With `sums`, returns the header that must replace the first
 * chunk.
 */
export function* encodeLtx(
  { header, source, list }: LtxContent,
  sums?: PageSums,
): Generator<Uint8Array, Uint8Array | undefined, undefined> {
  const { pageSize } = header;
  const { pgnos } = list;
  const batchPages = Math.max(1, Math.floor(BATCH_SIZE / pageSize));
  const reader = new PageReader(source);
  const encoder = new LtxEncoder(header);
  const buffer = new Uint8Array(Math.min(batchPages, pgnos.length) * pageSize);
  yield encoder.begin();
  for (let start = 0; start < pgnos.length; start += batchPages) {
    const end = Math.min(start + batchPages, pgnos.length);
    const pages = buffer.subarray(0, (end - start) * pageSize);
    reader.read(list, start, end, pages);
    const batch = pgnos.subarray(start, end);
    if (sums === undefined) {
      yield encoder.encodePages(batch, pages);
      continue;
    }
    const { frames, pageHashes } = encoder.encodeAndSum(batch, pages);
    sums.checksums.set(pageHashes, start);
    yield frames;
  }
  const { extension } = provenHeader(header, sums);
  const proven =
    sums === undefined || extension === undefined ? undefined : encoder.replaceExtension(extension).slice();
  yield encoder.finish();
  return proven;
}

/** Makes the file. Returns its size in bytes; removes the file if the work fails or ends early. */
export function* writeLtx(job: LtxJob): Steps<number> {
  const fd = createFile(job.temporaryPath, job.ownership);
  let complete = false;
  try {
    let size = 0;
    const chunks = encodeLtx(job, job.sums);
    let next = chunks.next();
    for (; next.done !== true; next = chunks.next()) {
      writeFully(fd, next.value);
      size += next.value.length;
      if (size > HEADER_SIZE) yield;
    }
    if (next.value !== undefined) writeFully(fd, next.value, 0);
    yield durable(fd);
    complete = true;
    return size;
  } finally {
    closeSync(fd);
    if (!complete) rmSync(job.temporaryPath, { force: true });
  }
}

/** Gives a durable temporary file its name, durably. */
export function* renameDurably(from: string, to: string): Steps<void> {
  renameSync(from, to);
  const folder = openSync(dirname(to), OPEN_FOLDER);
  try {
    yield durable(folder);
  } finally {
    closeSync(folder);
  }
}

/** `at`: offset in the file. Default: where the last write ended. */
function writeFully(fd: number, bytes: Uint8Array, at?: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, at === undefined ? null : at + done);
  }
}
