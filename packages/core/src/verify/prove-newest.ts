/** Computes the checksum of the newest state of a replica, without storing its pages. */
import { kernel, lockPageNumber, LtxDecoder } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import { readLtxHeader } from '../client/read-header.ts';
import { hasCode } from '../error.ts';
import { planRestore } from '../restore/plan.ts';
import { statedChecksum } from '../restore/database-checksum.ts';
import { fileName } from '../store/contiguity.ts';
import { mergeInputs } from '../store/merge-inputs.ts';

const CHECKSUM_FLAG = 1n << 63n;

/** A state that is not the one that its last file states, or that cannot be computed. */
export interface ProofFault {
  readonly kind: 'proof';
  readonly level: number;
  readonly file: string;
  readonly message: string;
}

export interface NewestState {
  readonly txid: TXID;
  readonly timestamp: Date;
  readonly isProven: boolean;
  readonly fault?: ProofFault;
}

/** Undefined if there is no state to restore. Rejects if the replica cannot be read. */
export async function proveNewest(client: ReplicaClient, op: Op): Promise<NewestState | undefined> {
  let plan: readonly LtxFileInfo[];
  try {
    plan = await planRestore(client, op);
  } catch (error) {
    // The faults of the listings explain why.
    if (hasCode(error, 'REPLICA_EMPTY') || hasCode(error, 'REPLICA_GAP')) return undefined;
    throw error;
  }
  const last = plan.at(-1);
  if (last === undefined) return undefined;
  const state = { txid: last.maxTxid, timestamp: last.timestamp };
  const fault = (message: string): NewestState => {
    const where = { level: last.level, file: fileName(last) };
    return { ...state, isProven: false, fault: { kind: 'proof', ...where, message } };
  };
  let decoder: LtxDecoder | undefined;
  try {
    decoder = new LtxDecoder(mergeInputs(client, await ofOnePageSize(client, plan, op), op));
    const header = await decoder.header();
    let xor = 0n;
    let pageCount = 0;
    for await (const { pgnos, pages } of decoder.batches()) {
      for (const each of kernel().pageHashes(pgnos, pages, header.pageSize)) xor ^= each;
      pageCount += pgnos.length;
    }
    await decoder.finish();
    if (pageCount < pagesOf(header)) return fault(`${fileName(last)}: the files of the plan lack pages of its state`);
    const expected = statedChecksum(header);
    if (expected === undefined) return { ...state, isProven: false };
    if ((xor | CHECKSUM_FLAG) === expected) return { ...state, isProven: true };
    return fault(
      `${fileName(last)}: its state, ${pageCount} pages, does not have the database checksum that it states`,
    );
  } catch (error) {
    op.signal?.throwIfAborted();
    if (hasCode(error, 'NETWORK') || hasCode(error, 'UNAVAILABLE')) throw error;
    return fault(`${fileName(last)}: its state cannot be computed: ${(error as Error).message}`);
  } finally {
    await decoder?.close();
  }
}

/** A change of the page size rewrites every page: older files are not needed, and cannot be merged with later ones. */
async function ofOnePageSize(
  client: ReplicaClient,
  plan: readonly LtxFileInfo[],
  op: Op,
): Promise<readonly LtxFileInfo[]> {
  const sizes = await Promise.all(plan.map(async (file) => (await readLtxHeader(client, file, op)).pageSize));
  return plan.slice(sizes.findLastIndex((size) => size !== sizes.at(-1)) + 1);
}

/** Without the lock page, which no file contains. */
function pagesOf({ commit, pageSize }: LtxHeader): number {
  return commit >= lockPageNumber(pageSize) ? commit - 1 : commit;
}
