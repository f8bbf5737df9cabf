/** Reads what a compaction merges: directly from local files if all inputs are local, as streams otherwise. */
import { statSync } from 'node:fs';
import { readFileChunks } from '../files/safe-files.ts';
import { isLtxError, mergeLtx } from '@litestream/ltx';
import { mergeLtxFiles } from '@litestream/ltx/node';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { resumableSource } from '../storage/reading/resumable-reader.ts';
import { wrapError } from '../storage/errors/wrap-error.ts';
import type { Clock } from '../util/clock.ts';
import { fileName } from './contiguity.ts';

export interface MergeInputsOptions extends Op {
  /** Path of a local copy, which is read instead of the client's file. */
  readonly local?: ((file: LtxFileInfo) => string | undefined) | undefined;
  readonly clock?: Clock | undefined;
}

/** The chunks of the merged file; each is valid until the next but one is requested. */
export function mergeInputs(
  client: ReplicaClient,
  inputs: readonly LtxFileInfo[],
  options: MergeInputsOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { local, ...read } = options;
  const copies = inputs.map((file) => local?.(file));
  const paths = inputs.map((file, i) => copies[i] ?? pathOf(client, file));
  const files = inputs.map((file, i) => ({ path: paths[i] ?? '', file: fileName(file) }));
  if (!paths.includes(undefined)) return wrapped(mergeLtxFiles(files, { reuseChunks: true }), client.type);
  return mergeLtx(
    inputs.map((file, i) => {
      const copy = copies[i];
      const source = copy === undefined ? resumableSource(client, file, read) : readFileChunks(copy);
      return { source, file: fileName(file) };
    }),
  );
}

/** Only if the file still has the listed size. Otherwise the client reads the file, and reports the fault. */
function pathOf(client: ReplicaClient, file: LtxFileInfo): string | undefined {
  const path = client.localPath?.(file);
  if (path === undefined) return undefined;
  return statSync(path, { throwIfNoEntry: false })?.size === file.size ? path : undefined;
}

async function* wrapped(
  merge: AsyncGenerator<Uint8Array, void, undefined>,
  backend: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* merge;
  } catch (error) {
    throw isLtxError(error) ? error : wrapError(error, { operation: 'compact', backend });
  }
}
