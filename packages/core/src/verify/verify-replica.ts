/** Verifies a replica without a database: every file, their chain, and the newest state that can be restored. */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import { validateReplica } from './validation.ts';
import type { ValidationFault } from './validation.ts';
import { chainFaults, statedBy } from './chain-faults.ts';
import type { StatedFile } from './chain-faults.ts';
import { proveNewest } from './prove-newest.ts';

export interface VerifyOptions extends Op {
  readonly onProgress?: ((progress: { readonly bytesDone: number; readonly bytesTotal: number }) => void) | undefined;
}

/** One level of a replica. */
export interface VerifiedLevel {
  readonly level: number;
  readonly files: number;
  /** Bytes. */
  readonly size: number;
}

export interface VerifyFault {
  /** As `ValidationFault`; `chain`: two files contradict each other; `proof`: a state is not the one that its file states. */
  readonly kind: ValidationFault['kind'] | 'chain' | 'proof';
  readonly level: number;
  readonly file: string | undefined;
  readonly message: string;
}

export interface VerifyReport {
  /** The levels that have files, ascending. */
  readonly levels: readonly VerifiedLevel[];
  readonly faults: readonly VerifyFault[];
  /** The newest state that can be restored; undefined if there is none. */
  readonly newest: { readonly txid: TXID; readonly timestamp: Date } | undefined;
  /** The newest state has the database checksum that its last file states. */
  readonly proven: boolean;
}

/**
 * Reads every file of a replica once, and those that the newest state needs twice. Writes nothing, and may run beside a live
 * `litestream`. The report lists all faults; rejects only if the replica cannot be read.
 */
export async function verifyReplica(client: ReplicaClient, options: VerifyOptions = {}): Promise<VerifyReport> {
  const { signal, onProgress } = options;
  const listed = await listAll(client, { signal });
  const bytesTotal = listed.reduce((sum, { size }) => sum + size, 0);
  const stated: StatedFile[] = [];
  let bytesDone = 0;
  const { faults } = await validateReplica(client, {
    sample: 'all',
    signal,
    onFile: (file, header) => {
      bytesDone += file.size;
      onProgress?.({ bytesDone: Math.min(bytesDone, bytesTotal), bytesTotal });
      if (header !== undefined) stated.push(statedBy(file, header));
    },
  });
  const newest = await proveNewest(client, { signal });
  return {
    levels: levelsOf(listed),
    faults: [...faults, ...chainFaults(stated), ...(newest?.fault === undefined ? [] : [newest.fault])],
    newest: newest === undefined ? undefined : { txid: newest.txid, timestamp: newest.timestamp },
    proven: newest?.isProven ?? false,
  };
}

async function listAll(client: ReplicaClient, op: Op): Promise<LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  for (let level = 0; level <= SNAPSHOT_LEVEL; level++) {
    for await (const file of client.ltxFiles(level, op)) files.push(file);
  }
  return files;
}

function levelsOf(files: readonly LtxFileInfo[]): VerifiedLevel[] {
  const byLevel = Map.groupBy(files, ({ level }) => level);
  return [...byLevel]
    .sort(([a], [b]) => a - b)
    .map(([level, of]) => ({ level, files: of.length, size: of.reduce((sum, { size }) => sum + size, 0) }));
}
