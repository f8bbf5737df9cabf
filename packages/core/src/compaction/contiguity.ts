/** Checks that the files of one level follow each other without gap or overlap. */
import { formatLtxFilename, formatTxid } from '@litestream/ltx';
import type { LtxFileInfo, LtxFileRef } from '../storage/contract/contract.ts';

export interface ContiguityFault {
  readonly kind: 'gap' | 'overlap' | 'order';
  readonly previous: LtxFileInfo;
  readonly next: LtxFileInfo;
}

/** Every gap and overlap of `files`, in the order given. */
export function contiguityFaults(files: readonly LtxFileInfo[]): readonly ContiguityFault[] {
  const faults: ContiguityFault[] = [];
  let previous: LtxFileInfo | undefined;
  for (const next of files) {
    if (previous !== undefined && next.minTxid !== previous.maxTxid + 1n) {
      const kind = next.minTxid < previous.minTxid ? 'order' : next.minTxid <= previous.maxTxid ? 'overlap' : 'gap';
      faults.push({ kind, previous, next });
    }
    previous = next;
  }
  return faults;
}

/** `gap at level 1 between …-… and …-…` */
export function describeFault({ kind, previous, next }: ContiguityFault): string {
  return `${kind} at level ${next.level} between ${range(previous)} and ${range(next)}`;
}

function range(file: LtxFileInfo): string {
  return `${formatTxid(file.minTxid)}-${formatTxid(file.maxTxid)}`;
}

/** `ltx/1/000…1-000…9.ltx`: how messages name a file, wherever its replica keeps it. */
export function fileName({ level, minTxid, maxTxid }: LtxFileRef): string {
  return `ltx/${level}/${formatLtxFilename(minTxid, maxTxid)}`;
}
