import { LtxEncoder } from '../codec/encoder.ts';
import { LtxError } from '../format/error.ts';
import { hasChecksums } from '../format/header.ts';
import type { LtxHeader } from '../format/header.ts';
import type { LtxTrailer } from '../format/trailer.ts';
import { Cursor } from './cursor.ts';
import { mergeFrames } from './merge-frames.ts';
import { mergedHeader } from './merged-header.ts';

/** One input of a merge. */
export interface MergeInput {
  readonly source: AsyncIterable<Uint8Array>;
  /** Name of the file, for errors. */
  readonly file?: string;
}

export interface MergeOptions {
  /** Fields of the output's header that replace the computed ones. */
  readonly header?: Partial<LtxHeader>;
  /** Pages past the newest commit are dropped; always so. */
  readonly dropPagesPastCommit?: true;
}

/** Approximate size of the buffers of all inputs together; with many inputs, each has at least the minimum. */
const BUFFERS_SIZE = 16 << 20;
const BATCH_SIZE_MIN = 32 << 10;
const BATCH_SIZE_MAX = 256 << 10;

/**
 * Merges files into one that holds the newest version of each page. Inputs ascend by transaction and are contiguous.
 * Compressed frames pass through unchanged; every page of every input is decoded once, and the last chunk comes only
 * after every input was verified: until then the output must not be used. The caller owns the chunks.
 *
 * The output has no database checksums unless `options.header.flags` is 0; then those of the inputs are kept. Throws
 * `LtxError`, with the name of the input at fault; errors of a source pass through.
 */
export async function* mergeLtx(
  inputs: readonly MergeInput[],
  options: MergeOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const share = Math.floor(BUFFERS_SIZE / Math.max(1, inputs.length));
  const batchSize = Math.min(BATCH_SIZE_MAX, Math.max(BATCH_SIZE_MIN, share));
  const cursors = inputs.map(
    ({ source, file }, rank) => new Cursor(source, rank, { batchSize, ...(file === undefined ? {} : { file }) }),
  );
  try {
    const headers = await Promise.all(cursors.map((cursor) => cursor.decoder.header()));
    const files = inputs.map(({ file }) => file);
    const header = mergedHeader(headers, files, options.header ?? {});
    const encoder = new LtxEncoder(header);
    yield encoder.begin().slice();
    yield* mergeFrames(cursors, header, encoder);
    yield encoder.finish(databaseChecksum(cursors.at(-1)?.trailer, header)).slice();
  } finally {
    // An error of a source on closing must not hide the original error.
    await Promise.allSettled(cursors.map((cursor) => cursor.decoder.close()));
  }
}

/** The database checksum of the output's trailer: that of the newest input, if it has one. */
export function databaseChecksum(newest: LtxTrailer | undefined, header: LtxHeader): bigint {
  if (!hasChecksums(header)) return 0n;
  const checksum = newest?.postApplyChecksum ?? 0n;
  if (checksum === 0n) throw new LtxError('INVALID_ARGUMENT', 'the newest input carries no checksum to keep');
  return checksum;
}
