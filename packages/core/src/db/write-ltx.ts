import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LtxHeader } from '@litestream/ltx';
import { HEADER_SIZE, LtxEncoder } from '@litestream/ltx';
import { createFile } from '../files/safe-files.ts';
import type { Ownership } from '../files/safe-files.ts';
import type { PageList, PageSource } from './page-source.ts';
import { PageReader } from './page-source.ts';
import type { Steps } from './steps.ts';
import { durable } from './steps.ts';

const BATCH_SIZE = 1024 * 1024;

/** What an LTX file is made of: pages of one state of a live database. Plain data: it can be sent to a worker. */
export interface LtxContent {
  readonly header: LtxHeader;
  readonly source: PageSource;
  /** Ascending, without the lock page. */
  readonly list: PageList;
}

/** One LTX file to be made from a live database. */
export interface LtxJob extends LtxContent {
  /** Written, made durable, and left under this name. */
  readonly temporaryPath: string;
  readonly ownership: Pick<Ownership, 'fileMode' | 'uid' | 'gid'>;
}

/**
 * Reads and encodes, a batch at a time. The same bytes each time, as long as the state can be read. Each chunk is a view
 * that is valid until the next one is asked for.
 */
export function* encodeLtx({ header, source, list }: LtxContent): Generator<Uint8Array, void, undefined> {
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
    yield encoder.encodePages(pgnos.subarray(start, end), pages);
  }
  yield encoder.finish();
}

/** Makes the file. Returns its size in bytes; removes it if it is cut short. */
export function* writeLtx(job: LtxJob): Steps<number> {
  const fd = createFile(job.temporaryPath, job.ownership);
  let complete = false;
  try {
    let size = 0;
    for (const chunk of encodeLtx(job)) {
      writeFully(fd, chunk);
      size += chunk.length;
      if (size > HEADER_SIZE) yield;
    }
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
  const folder = openSync(dirname(to), 'r');
  try {
    yield durable(folder);
  } finally {
    closeSync(folder);
  }
}

function writeFully(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done);
}
