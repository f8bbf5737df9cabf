/** Chooses what one compaction merges: a contiguous run of files of the level below, bounded in number. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../client/contract.ts';
import { LitestreamError } from '../error.ts';
import { contiguityFaults, describeFault } from './contiguity.ts';

/** Files merged at once; each costs an open stream and a batch of pages. More files make more than one output. */
export const INPUTS_MAX = 256;

export interface InputQuery {
  /** Last TXID of the destination level, 0 if it is empty. */
  readonly top: TXID;
  /** Last TXIDs of the snapshots there are: a gap that a snapshot covers is history, not damage. */
  readonly snapshots: readonly TXID[];
  readonly inputsMax?: number;
}

/**
 * The first run to merge out of `files`, ascending and all beginning after `top`.
 *
 * @throws LitestreamError `REPLICA_GAP` where files are missing, overlap or are out of order, unless a snapshot reaches
 *   up to the file behind the gap: then every restore point behind it has a base, and the level goes on from there.
 */
export function compactionInputs(files: readonly LtxFileInfo[], query: InputQuery): readonly LtxFileInfo[] {
  const [first] = files;
  if (first === undefined) return [];
  if (query.top > 0n && first.minTxid !== query.top + 1n && !bridged(first, query.snapshots)) {
    throw gap(
      `level ${first.level} has no file that begins at ${formatTxid(query.top + 1n)}: the next one is ${formatTxid(first.minTxid)}`,
    );
  }
  const run = files.slice(0, query.inputsMax ?? INPUTS_MAX);
  const [fault] = contiguityFaults(run);
  if (fault === undefined) return run;
  if (fault.kind === 'gap' && bridged(fault.next, query.snapshots)) return run.slice(0, run.indexOf(fault.next));
  throw gap(describeFault(fault));
}

/** A snapshot ends at or behind the TXID before this file, so the file can be applied to it. */
function bridged(file: LtxFileInfo, snapshots: readonly TXID[]): boolean {
  return snapshots.some((maxTxid) => maxTxid >= file.minTxid - 1n);
}

function gap(message: string): LitestreamError {
  return new LitestreamError(message, {
    code: 'REPLICA_GAP',
    operation: 'compact',
    hint: 'A new snapshot closes the gap; litestream takes one by itself while it replicates this database.',
  });
}
