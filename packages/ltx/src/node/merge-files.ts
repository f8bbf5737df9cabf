import { createReadStream } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { LtxEncoder } from '../encoder.ts';
import type { LtxHeader } from '../header.ts';
import { databaseChecksum, mergeLtx } from '../merge/merge.ts';
import type { MergeOptions } from '../merge/merge.ts';
import { mergedHeader } from '../merge/merged-header.ts';
import { InputFile } from './input-file.ts';
import { MergePlan } from './merge-plan.ts';
import { ChunkBuffers, WindowOutput } from './window-output.ts';

/** One local file of a merge. */
export interface MergeFile {
  readonly path: string;
  /** Name of the file, for errors. */
  readonly file?: string;
}

export interface MergeFilesOptions extends MergeOptions {
  /** A chunk is overwritten once the next but one is asked for. Default: chunks are the caller's to keep. */
  readonly reuseChunks?: boolean | undefined;
  /** Bytes of all inputs together that are merged at a time, about; a chunk is as long at most. Default 8 MiB. */
  readonly windowSize?: number | undefined;
}

/** Large enough for large reads, small enough to be at hand. */
const WINDOW_SIZE = 8 << 20;
/** Indexes of all inputs together that are held, in bytes as they stand in the files. What has more is streamed. */
const INDEXES_SIZE_MAX = 16 << 20;
const TAIL_SIZE = 64 << 10;
/** Other work of this thread gets its turn this often. */
const TURN_MS = 5;

/**
 * As `mergeLtx`, for files on a local disk: knows from their indexes which frames will be needed, reads each file in
 * large pieces straight to where they are verified, and copies only frames that stay. Same output, same errors.
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
      yield* mergeListed(files, header, options);
      return;
    }
  } finally {
    for (const file of files) file.close();
  }
  yield* mergeLtx(
    inputs.map(({ path, ...names }) => ({ source: createReadStream(path), ...names })),
    options,
  );
}

async function* mergeListed(
  files: readonly InputFile[],
  header: LtxHeader,
  { reuseChunks, windowSize = WINDOW_SIZE }: MergeFilesOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = new Uint8Array(TAIL_SIZE);
  const indexes = [];
  for (const file of files) indexes.push(await file.readIndex(buffer));
  const encoder = new LtxEncoder(header);
  yield encoder.begin().slice();
  const plan = new MergePlan(indexes, header.commit, windowSize);
  const buffers = new ChunkBuffers(reuseChunks === true);
  const done = files.map(() => 0);
  let turnEndsAt = performance.now() + TURN_MS;
  for (const window of plan.windows()) {
    const output = new WindowOutput(window, buffers);
    for (const [input, file] of files.entries()) {
      const from = done[input] ?? 0;
      const end = window.ends[input] ?? 0;
      if (from === end) continue;
      output.take(file.frames(end), plan.places(input).subarray(from, end));
      done[input] = end;
      if (performance.now() < turnEndsAt) continue;
      await setImmediate();
      turnEndsAt = performance.now() + TURN_MS;
    }
    encoder.passFrames(output);
    if (output.frames.length > 0) yield output.frames;
  }
  const trailers = files.map((file) => file.finish());
  yield encoder.finish(databaseChecksum(trailers.at(-1), header)).slice();
}
