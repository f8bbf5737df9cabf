/** Compares all pages of a live database with the checksum that its replica states. */
import type { TXID } from '@litestream/ltx';
import { formatTxid, isLtxError } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import { readLtxHeader } from '../storage/reading/read-header.ts';
import type { ComparedPages } from '../db/snapshot/compare-pages.ts';
import { hasCode, LitestreamError } from '../util/error.ts';
import { planRestore } from '../restore/plan/plan.ts';
import { fileName } from '../compaction/contiguity.ts';

/**
 * What a verification repaired: pages of the database that differed from what was replicated, or files of the replica.
 */
export type LiveRepair = 'pages' | 'snapshot';

/**
 * The replica states the checksum of the live database. The other files that a restore needs were not checked: `verifyReplica`, or
 * a drill, reads them.
 */
export interface LiveProof {
  /** After this transaction. */
  readonly txid: TXID;
  readonly pageCount: number;
  /** In the order in which they were made. Empty without the option `repair`. */
  readonly repairs: readonly LiveRepair[];
}

export interface VerifyLiveOptions extends Op {
  /**
   * Replicate the pages that differ, and take a snapshot if the replica states another database, or none. Default false.
   */
  readonly repair?: boolean | undefined;
}

export interface LiveParts {
  readonly client: ReplicaClient;
  /** Rejects with `DATABASE_CHANGED` if the database differs from the state after its level-0 files. */
  readonly comparePages: (options: Op) => Promise<ComparedPages>;
  /** Resolves once everything committed is on the replica. */
  readonly replicated: (options: Op) => Promise<void>;
  /** Resolves once a snapshot is on the replica. */
  readonly snapshot: (options: Op) => Promise<unknown>;
}

/** A compaction may delete the file of the transaction meanwhile. */
const ATTEMPTS_MAX = 3;
/** One for the pages, one for the replica, and one for changes meanwhile. */
const REPAIRS_MAX = 3;

/**
 * Compares all pages with the checksum of the state that a restore would make. Rejects with `DATABASE_CHANGED` if the pages are not
 * as they were replicated (the next sync takes those that differ); with `CHECKSUM_MISMATCH` if the replica states another database;
 * with `UNPROVEN` if it states none; with an `LtxError` if the header of its newest file is damaged.
 */
export async function verifyLive(parts: LiveParts, { repair, ...op }: VerifyLiveOptions = {}): Promise<LiveProof> {
  const repairs: LiveRepair[] = [];
  for (;;) {
    try {
      return { ...(await compare(parts, op)), repairs };
    } catch (error) {
      const made = repair === true && repairs.length < REPAIRS_MAX ? await repairFor(error, parts, op) : undefined;
      if (made === undefined) throw error;
      repairs.push(made);
    }
  }
}

async function compare(parts: LiveParts, op: Op): Promise<Omit<LiveProof, 'repairs'>> {
  for (let attempt = 1; ; attempt++) {
    const { txid, pageCount, databaseChecksum } = await parts.comparePages(op);
    await parts.replicated(op);
    const stated = await statedAt(parts.client, txid, op);
    if (stated === undefined && attempt < ATTEMPTS_MAX) continue;
    if (stated === undefined || stated.checksum === 0n) throw unproven(txid);
    if (stated.checksum !== databaseChecksum) throw otherDatabase(stated.name, txid);
    return { txid, pageCount };
  }
}

/** Faults of a replica that a snapshot repairs, because a restore of it needs no other file. */
const SNAPSHOT_REPAIRS = ['CHECKSUM_MISMATCH', 'UNPROVEN', 'REPLICA_GAP', 'OBJECT_CHANGED'] as const;

/** Undefined if the error cannot be repaired. */
async function repairFor(error: unknown, parts: LiveParts, op: Op): Promise<LiveRepair | undefined> {
  if (hasCode(error, 'DATABASE_CHANGED')) {
    await parts.replicated(op);
    return 'pages';
  }
  // An `LtxError`: the newest file is damaged.
  if (!isLtxError(error) && !SNAPSHOT_REPAIRS.some((code) => hasCode(error, code))) return undefined;
  await parts.snapshot(op);
  return 'snapshot';
}

interface Statement {
  readonly name: string;
  readonly checksum: bigint;
}

/** The checksum of the state that a restore to this transaction would make; undefined if no file ends there any more. */
async function statedAt(client: ReplicaClient, txid: TXID, op: Op): Promise<Statement | undefined> {
  try {
    const last = (await planRestore(client, { txid, ...op })).at(-1);
    if (last === undefined) return undefined;
    const { extension } = await readLtxHeader(client, last, op);
    return { name: fileName(last), checksum: extension?.databaseChecksum ?? 0n };
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'TXID_OUT_OF_RANGE')) return undefined;
    throw error;
  }
}

function otherDatabase(name: string, txid: TXID): LitestreamError {
  return new LitestreamError(`${name} states another database at TXID ${formatTxid(txid)} than the live one`, {
    code: 'CHECKSUM_MISMATCH',
    operation: 'verify',
    object: name,
    hint: 'Take a snapshot: a restore of it does not need this file.',
  });
}

function unproven(txid: TXID): LitestreamError {
  return new LitestreamError(`no file of the replica states the checksum of the database at TXID ${formatTxid(txid)}`, {
    code: 'UNPROVEN',
    operation: 'verify',
    hint: 'Write to the database, and verify it again: files that are written after a comparison of all pages state a checksum.',
  });
}
