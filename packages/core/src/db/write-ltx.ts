import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LtxHeader } from '@litestream/ltx';
import { LtxEncoder } from '@litestream/ltx';
import type { PageList, PageSource } from './page-source.ts';
import { PageReader } from './page-source.ts';
import type { Steps } from './steps.ts';
import { durable } from './steps.ts';

const BATCH_SIZE = 1024 * 1024;

/** One LTX file to be made from a live database. Plain data: it can be sent to a worker. */
export interface LtxJob {
  readonly header: LtxHeader;
  readonly source: PageSource;
  /** Ascending, without the lock page. */
  readonly list: PageList;
  /** Written, made durable, and left under this name. */
  readonly temporaryPath: string;
  readonly mode: number;
}

/** Reads, encodes and writes the file a batch at a time. Returns its size in bytes; removes it if it is cut short. */
export function* writeLtx(job: LtxJob): Steps<number> {
  const { pageSize } = job.header;
  const { pgnos } = job.list;
  const batchPages = Math.max(1, Math.floor(BATCH_SIZE / pageSize));
  const reader = new PageReader(job.source);
  const encoder = new LtxEncoder(job.header);
  const buffer = new Uint8Array(Math.min(batchPages, pgnos.length) * pageSize);
  const fd = openSync(job.temporaryPath, 'w', job.mode);
  let complete = false;
  try {
    writeFully(fd, encoder.begin());
    for (let start = 0; start < pgnos.length; start += batchPages) {
      const end = Math.min(start + batchPages, pgnos.length);
      const pages = buffer.subarray(0, (end - start) * pageSize);
      reader.read(job.list, start, end, pages);
      writeFully(fd, encoder.encodePages(pgnos.subarray(start, end), pages));
      yield;
    }
    writeFully(fd, encoder.finish());
    yield durable(fd);
    complete = true;
    return encoder.size;
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
