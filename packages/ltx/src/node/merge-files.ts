import { createReadStream, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { LtxEncoder } from '../codec/encoder.ts';
import type { LtxHeader } from '../format/header.ts';
import { databaseChecksum, mergeLtx } from '../merge/merge.ts';
import type { MergeOptions } from '../merge/merge.ts';
import { mergedHeader } from '../merge/merged-header.ts';
import { InputFile, READ } from './input-file.ts';
import { borrowMergeKernel, returnMergeKernel } from './merge-kernel.ts';
import type { MergeKernel } from './merge-kernel.ts';

/** One local file of a merge. */
export interface MergeFile {
  readonly path: string;
  /** Name of the file, for errors. */
  readonly file?: string;
}

export interface MergeFilesOptions extends MergeOptions {
  /** A chunk is overwritten once the next but one is requested. Default: the caller owns the chunks. */
  readonly reuseChunks?: boolean | undefined;
  /** Approximate bytes of all inputs together that are merged at a time, and maximum size of a chunk. Default 8 MiB. */
  readonly windowSize?: number | undefined;
}

/** Large enough for large reads, small enough for the caches. */
const WINDOW_SIZE = 8 << 20;
/** Maximum bytes of all indexes together, as encoded in the files. A merge with more is streamed. */
const INDEXES_SIZE_MAX = 16 << 20;
/** How often the merge yields to other work of this thread. */
const TURN_MS = 5;

/**
 * Like `mergeLtx`, for files on a local disk: learns from their indexes which frames are needed, reads each file in
 * large pieces directly to where they are verified, and copies only needed frames. Same output, same errors.
 */
export async function* mergeLtxFiles(
  inputs: readonly MergeFile[],
  options: MergeFilesOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const files: InputFile[] = [];
  try {
    for (const { path, file } of inputs) files.push(new InputFile(path, file));
    const header = mergedHeader(
      files.map((file) => file.header),
      files.map((file) => file.name),
      options.header ?? {},
    );
    const indexesSize = files.reduce((sum, file) => sum + file.indexSize, 0);
    if (indexesSize <= INDEXES_SIZE_MAX) {
      const kernel = borrowMergeKernel();
      try {
        yield* mergeListed(files, header, kernel, options);
      } finally {
        returnMergeKernel(kernel);
      }
      return;
    }
  } finally {
    for (const file of files) file.close();
  }
  yield* mergeLtx(
    inputs.map(({ path, ...names }) => ({ source: chunksOf(path), ...names })),
    options,
  );
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield* createReadStream('', { fd: openSync(path, READ) }) as AsyncIterable<Uint8Array>;
}

async function* mergeListed(
  files: readonly InputFile[],
  header: LtxHeader,
  kernel: MergeKernel,
  { reuseChunks, windowSize = WINDOW_SIZE }: MergeFilesOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const indexSizes = files.map((file) => file.indexSize);
  kernel.begin({
    inputCount: files.length,
    indexesSize: indexSizes.reduce((sum, size) => sum + size, 0),
    indexSizeMax: indexSizes.reduce((max, size) => Math.max(max, size), 0),
    pageSize: header.pageSize,
    commit: header.commit,
    windowSize,
  });
  for (const file of files) await file.readIndex(kernel);
  kernel.plan();
  const encoder = new LtxEncoder(header);
  yield encoder.begin().slice();
  let turnEndsAt = performance.now() + TURN_MS;
  for (let window = kernel.nextWindow(); window !== undefined; window = kernel.nextWindow()) {
    for (const part of window.parts) {
      files[part.input]?.merge(part, kernel);
      if (performance.now() < turnEndsAt) continue;
      await setImmediate();
      turnEndsAt = performance.now() + TURN_MS;
    }
    encoder.passFrames(window);
    if (window.frames.length > 0) yield reuseChunks === true ? window.frames : window.frames.slice();
  }
  const trailers = files.map((file, input) => file.finish(kernel.checksums(input)));
  yield encoder.finish(databaseChecksum(trailers.at(-1), header)).slice();
}
