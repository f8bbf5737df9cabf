/** Chooses what one compaction merges: a contiguous run of files of the level below, bounded in number. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../storage/contract/contract.ts';
import { LitestreamError } from '../util/error.ts';
import { contiguityFaults, describeFault } from './contiguity.ts';
import type { ContiguityFault } from './contiguity.ts';

/** Files merged at once; each costs an open stream and a batch of pages. More files make more than one output. */
export const INPUTS_MAX = 256;

export interface InputQuery {
  /** Last TXID of the destination level, 0 if it is empty. */
  readonly top: TXID;
  /** Last TXIDs of the existing snapshots: a gap that a snapshot covers is not damage. */
  readonly snapshots: readonly TXID[];
  readonly inputsMax?: number;
}

/**
 * The first run to merge out of `files`, ascending and all beginning after `top`. Files that lie wholly within another
 * one are skipped: a compaction that ran twice leaves them.
 *
 * @throws LitestreamError `REPLICA_GAP` where files are missing, overlap or are out of order, unless a snapshot reaches
 *   past the gap: then every restore point behind it has a base, and the level continues from there.
 */
export function compactionInputs(files: readonly LtxFileInfo[], query: InputQuery): readonly LtxFileInfo[] {
  const chain = withoutContained(files);
  const [first] = chain;
  if (first === undefined) return [];
  if (query.top > 0n && first.minTxid !== query.top + 1n && !covered(first.minTxid - 1n, query.snapshots)) {
    throw gap(
      `level ${first.level} has no file that begins at ${formatTxid(query.top + 1n)}: the next one is ${formatTxid(first.minTxid)}`,
    );
  }
  const run = chain.slice(0, query.inputsMax ?? INPUTS_MAX);
  const [fault] = contiguityFaults(run);
  if (fault === undefined) return run;
  if (canContinue(fault, query.snapshots)) return run.slice(0, run.indexOf(fault.next));
  throw gap(describeFault(fault));
}

function canContinue({ kind, next }: ContiguityFault, snapshots: readonly TXID[]): boolean {
  if (kind === 'order') return false;
  return covered(kind === 'gap' ? next.minTxid - 1n : next.maxTxid, snapshots);
}

/** A snapshot ends at or behind this TXID, so what follows it can be applied to that snapshot. */
function covered(txid: TXID, snapshots: readonly TXID[]): boolean {
  return snapshots.some((maxTxid) => maxTxid >= txid);
}

function withoutContained(files: readonly LtxFileInfo[]): readonly LtxFileInfo[] {
  const kept: LtxFileInfo[] = [];
  for (const file of files) {
    const last = kept.at(-1);
    if (last !== undefined && file.minTxid >= last.minTxid && file.maxTxid <= last.maxTxid) continue;
    if (last !== undefined && file.minTxid === last.minTxid) kept.pop();
    kept.push(file);
  }
  return kept;
}

function gap(message: string): LitestreamError {
  return new LitestreamError(message, {
    code: 'REPLICA_GAP',
    operation: 'compact',
    hint: 'A new snapshot closes the gap; litestream takes one by itself while it replicates this database.',
  });
}
