/** Proves a replica without a database: every file, the chain that they make, and the newest state that can be restored. */
import { kernel, lockPageNumber, LtxDecoder } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import { resumableSource } from '../client/resumable-reader.ts';
import { hasCode } from '../error.ts';
import { SNAPSHOT_LEVEL } from '../levels.ts';
import { planRestore } from '../restore/plan.ts';
import { statedChecksum } from '../restore/database-checksum.ts';
import { fileName } from '../store/contiguity.ts';
import { validateReplica } from '../store/validation.ts';
import type { ValidationFault } from '../store/validation.ts';
import { chainFaults } from './chain-faults.ts';
import type { StatedFile } from './chain-faults.ts';

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

const CHECKSUM_FLAG = 1n << 63n;

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
      if (header !== undefined) stated.push({ file, ...statementOf(header) });
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

function statementOf({ extension }: LtxHeader): Omit<StatedFile, 'file'> {
  return { leaves: extension?.databaseChecksum ?? 0n, startsHigh: extension?.previousChecksumHigh ?? 0 };
}

interface NewestState {
  readonly txid: TXID;
  readonly timestamp: Date;
  readonly isProven: boolean;
  readonly fault?: VerifyFault;
}

/** Computes the checksum of the newest state, without storing its pages. Undefined if there is no such state. */
async function proveNewest(client: ReplicaClient, op: Op): Promise<NewestState | undefined> {
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
  try {
    const { header, xor, pageCount } = await sumNewest(client, plan, op);
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
  }
}

interface SummedState {
  /** Of the last file. */
  readonly header: LtxHeader;
  /** Of the checksums of all pages that the files contain. */
  readonly xor: bigint;
  readonly pageCount: number;
}

/**
 * Reads the files one after the other, newest first: the first version of a page is the one that counts. Ends when it has every
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

/** Page numbers. Its memory depends on the pages that are there, and not on what a header states. */
class PageSet {
  readonly #blocks = new Map<number, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** False if it is there already. */
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

/** Without the lock page, which no file contains. */
function pagesOf({ commit, pageSize }: LtxHeader): number {
  return commit >= lockPageNumber(pageSize) ? commit - 1 : commit;
}
