/** Checks whether the files of a replica agree on the checksums of the database before and after each file. */
import { formatTxid } from '@litestream/ltx';
import type { LtxHeader } from '@litestream/ltx';
import type { LtxFileInfo } from '../storage/contract/contract.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import { fileName } from '../compaction/contiguity.ts';

/** A file, and what its header states. */
export interface StatedFile {
  readonly file: LtxFileInfo;
  /** Checksum of the database after it; 0 if it states none. */
  readonly leaves: bigint;
  /** High 32 bits of the checksum of the database before it; 0 if it states none. */
  readonly startsHigh: number;
}

/** The checksums that the header of a file states. */
export function statedBy(file: LtxFileInfo, { extension }: LtxHeader): StatedFile {
  return { file, leaves: extension?.databaseChecksum ?? 0n, startsHigh: extension?.previousChecksumHigh ?? 0 };
}

export interface ChainFault {
  readonly kind: 'chain';
  readonly level: number;
  readonly file: string;
  readonly message: string;
}

/** Files that state no checksum contradict no other file. */
export function chainFaults(files: readonly StatedFile[]): ChainFault[] {
  const faults: ChainFault[] = [];
  /** By TXID: the first file that states the checksum of the database after it. */
  const known = new Map<bigint, StatedFile>();
  const ascending = [...files].sort((a, b) => a.file.level - b.file.level);
  for (const each of ascending) {
    if (each.leaves === 0n) continue;
    const other = known.get(each.file.maxTxid);
    if (other === undefined) known.set(each.file.maxTxid, each);
    else if (other.leaves !== each.leaves) {
      const what = `${fileName(each.file)} states another database at ${formatTxid(each.file.maxTxid)} than`;
      faults.push(faultOf(each, `${what} ${fileName(other.file)}`));
    }
  }
  for (const each of ascending) {
    const before = each.file.level === SNAPSHOT_LEVEL ? undefined : known.get(each.file.minTxid - 1n);
    if (before === undefined || each.startsHigh === 0 || Number(before.leaves >> 32n) === each.startsHigh) continue;
    const what = `${fileName(each.file)} starts from another database than ${fileName(before.file)} leaves`;
    faults.push(faultOf(each, what));
  }
  return faults;
}

function faultOf({ file }: StatedFile, message: string): ChainFault {
  return { kind: 'chain', level: file.level, file: fileName(file), message };
}
