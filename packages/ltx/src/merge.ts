import type { LtxHeader } from './header.ts';

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

/**
 * Merges files into one: the newest version of each page. Inputs ascend by transaction and follow on each other; each
 * is verified whole. Chunks are copies.
 */
export function mergeLtx(inputs: readonly MergeInput[], options: MergeOptions = {}): AsyncIterable<Uint8Array> {
  throw new Error(`not built yet: ${inputs.length} ${String(options)}`);
}
