/** Computes the checksum of the newest state of a replica, without storing its pages. */
import { kernel, lockPageNumber, LtxDecoder } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { resumableSource } from '../storage/reading/resumable-reader.ts';
import { hasCode } from '../util/error.ts';
import { planRestore } from '../restore/plan/plan.ts';
import { statedChecksum } from '../restore/decode/database-checksum.ts';
import { fileName } from '../compaction/contiguity.ts';

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

/** How often to plan if retention deletes files meanwhile. */
const PLAN_COUNT_MAX = 5;

/** Undefined if there is no state to restore. Rejects if the replica cannot be read. */
export async function proveNewest(client: ReplicaClient, op: Op): Promise<NewestState | undefined> {
  let lost: NewestState | undefined;
  for (let plans = 1; ; plans += 1) {
    const plan = await planOrNothing(client, op);
    const last = plan?.at(-1);
    // What the first plan needed is lost now. If there never was a state, the faults of the listings explain why.
    if (plan === undefined || last === undefined) return lost;
    try {
      return await prove(client, plan, last, op);
    } catch (error) {
      op.signal?.throwIfAborted();
      if (hasCode(error, 'NETWORK') || hasCode(error, 'UNAVAILABLE')) throw error;
      lost = faulty(last, `its state cannot be computed: ${(error as Error).message}`);
      const isGone = hasCode(error, 'NOT_FOUND') || hasCode(error, 'OBJECT_CHANGED');
      if (!isGone || plans === PLAN_COUNT_MAX) return lost;
    }
  }
}

async function planOrNothing(client: ReplicaClient, op: Op): Promise<readonly LtxFileInfo[] | undefined> {
  try {
    return await planRestore(client, op);
  } catch (error) {
    if (hasCode(error, 'REPLICA_EMPTY') || hasCode(error, 'REPLICA_GAP')) return undefined;
    throw error;
  }
}

async function prove(
  client: ReplicaClient,
  plan: readonly LtxFileInfo[],
  last: LtxFileInfo,
  op: Op,
): Promise<NewestState> {
  const state = { txid: last.maxTxid, timestamp: last.timestamp };
  const { header, xor, pageCount } = await sumNewest(client, plan, op);
  if (pageCount < pagesOf(header)) return faulty(last, 'the files of the plan lack pages of its state');
  const expected = statedChecksum(header);
  if (expected === undefined) return { ...state, isProven: false };
  if ((xor | CHECKSUM_FLAG) === expected) return { ...state, isProven: true };
  return faulty(last, `its state, ${pageCount} pages, does not have the database checksum that it states`);
}

function faulty(last: LtxFileInfo, message: string): NewestState {
  const file = fileName(last);
  return {
    txid: last.maxTxid,
    timestamp: last.timestamp,
    isProven: false,
    fault: { kind: 'proof', level: last.level, file, message: `${file}: ${message}` },
  };
}

interface SummedState {
  /** Header of the last file. */
  readonly header: LtxHeader;
  /** Xor of the checksums of all pages that the files contain. */
  readonly xor: bigint;
  readonly pageCount: number;
}

/**
 * Reads the files one after the other, newest first: the first version of a page is the newest. Ends when it has every
 * page; files of an earlier page size are not needed, because a change of the page size rewrites every page.
 */
async function sumNewest(client: ReplicaClient, plan: readonly LtxFileInfo[], op: Op): Promise<SummedState> {
  const seen = new PageSet();
  let newest: LtxHeader | undefined;
  let xor = 0n;
  for (const file of plan.toReversed()) {
    const decoder = new LtxDecoder(resumableSource(client, file, op), { file: fileName(file) });
    try {
      const header = await decoder.header();
      newest ??= header;
      if (header.pageSize !== newest.pageSize) break;
      for await (const { pgnos, pages } of decoder.batches()) {
        const own = pgnos.slice();
        for (const [index, checksum] of kernel().pageHashes(own, pages, header.pageSize).entries()) {
          const pgno = own[index] ?? 0;
          if (pgno <= newest.commit && seen.add(pgno)) xor ^= checksum;
        }
      }
      await decoder.finish();
    } finally {
      await decoder.close();
    }
    if (seen.size === pagesOf(newest)) break;
  }
  if (newest === undefined) throw new Error('the plan has no files');
  return { header: newest, xor, pageCount: seen.size };
}

const BLOCK_PAGES = 1 << 15;

/** A set of page numbers. Its memory depends on the pages in it, and not on what a header states. */
class PageSet {
  readonly #blocks = new Map<number, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** False if the page is already in the set. */
  add(pgno: number): boolean {
    const number = Math.floor(pgno / BLOCK_PAGES);
    let block = this.#blocks.get(number);
    if (block === undefined) this.#blocks.set(number, (block = new Uint8Array(BLOCK_PAGES)));
    if (block[pgno % BLOCK_PAGES] === 1) return false;
    block[pgno % BLOCK_PAGES] = 1;
    this.#size += 1;
    return true;
  }
}

/** Number of pages without the lock page, which no file contains. */
function pagesOf({ commit, pageSize }: LtxHeader): number {
  return commit >= lockPageNumber(pageSize) ? commit - 1 : commit;
}
