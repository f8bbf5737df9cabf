import { writeSync } from 'node:fs';
import { LitestreamError } from '@litestream/core';
import type { LitestreamErrorCode } from '@litestream/core';

const pause = new Int32Array(new SharedArrayBuffer(4));

export function sleepSync(ms: number): void {
  Atomics.wait(pause, 0, 0, ms);
}

/** `ENOSPC` and the like. */
export function errnoOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code ?? error);
}

/** Writes synchronously, so that the output is complete and in order even if the process ends next. */
export function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeSync(descriptor, bytes, offset);
    } catch (error) {
      // Another process made the pipe non-blocking, and it is full: its reader makes room.
      if (errnoOf(error) !== 'EAGAIN') throw error;
      sleepSync(1);
    }
  }
}

/** The reader of a result closed the pipe, as `head` does: the command ends without a message, as SIGPIPE ends a program. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
  /** 128 + 13 (SIGPIPE), which a shell reports for such a program. */
  readonly exitCode = 141;
}

const REASONS: Readonly<Record<string, { readonly code: LitestreamErrorCode; readonly what: string }>> = {
  ENOSPC: { code: 'DISK_FULL', what: 'no space left on the device' },
  EDQUOT: { code: 'DISK_FULL', what: 'the quota is used up' },
  EFBIG: { code: 'DISK_FULL', what: 'the file would be larger than the limit' },
};

/** Why a result could not be printed. */
export function outputFault(cause: unknown): Error {
  const errno = errnoOf(cause);
  if (errno === 'EPIPE') return new ReaderGone('the reader of standard output went away', { cause });
  const { code, what } = REASONS[errno] ?? { code: 'UNAVAILABLE', what: `writing failed with ${errno}` };
  return new LitestreamError(`cannot print the result on standard output: ${what}`, { code });
}
