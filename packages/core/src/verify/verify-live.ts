/** Compares all pages of a live database with the checksum that its replica states. */
import { decodeHeader, formatTxid } from '@litestream/ltx';
import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileRef, Op, ReplicaClient } from '../client/contract.ts';
import { readLtxHeader } from '../client/read-header.ts';
import type { ComparedPages } from '../db/compare-pages.ts';
import { hasCode, LitestreamError } from '../error.ts';
import { remoteHeader } from '../replica/same-history.ts';
import { planRestore } from '../restore/plan.ts';
import { fileName } from '../store/contiguity.ts';

/** The database and its replica were the same. */
export interface LiveProof {
  /** After this transaction. */
  readonly txid: TXID;
  readonly pageCount: number;
}

export interface LiveParts {
  readonly client: ReplicaClient;
  /** Rejects with `DATABASE_CHANGED` if the database is not what its level-0 files make. */
  readonly comparePages: (options: Op) => Promise<ComparedPages>;
  /** Resolves once everything committed is on the replica. */
  readonly replicated: (options: Op) => Promise<void>;
}

/** A compaction may delete the file of the transaction meanwhile. */
const ATTEMPTS_MAX = 3;

/**
 * Rejects with `DATABASE_CHANGED` if the pages are not as they were replicated (the next sync takes those that differ); with
 * `CHECKSUM_MISMATCH` if the replica states another database; with `UNPROVEN` if it states none.
 */
export async function verifyLive(parts: LiveParts, options: Op = {}): Promise<LiveProof> {
  for (let attempt = 1; ; attempt++) {
    const { txid, pageCount, databaseChecksum } = await parts.comparePages(options);
    await parts.replicated(options);
    const stated = await statedAt(parts.client, txid, options);
    if (stated === undefined && attempt < ATTEMPTS_MAX) continue;
    if (stated === undefined || stated.checksum === 0n) throw unproven(txid);
    if (stated.checksum !== databaseChecksum) throw otherDatabase(stated.name, txid);
    return { txid, pageCount };
  }
}

interface Statement {
  readonly name: string;
  readonly checksum: bigint;
}

/** The checksum that the replica states for the database after a transaction; undefined if no file ends there any more. */
async function statedAt(client: ReplicaClient, txid: TXID, options: Op): Promise<Statement | undefined> {
  const level0 = { level: 0, minTxid: txid, maxTxid: txid };
  const header = await remoteHeader(client, txid, options);
  if (header !== undefined) return statementOf(level0, decodeHeader(header, { file: fileName(level0) }));
  try {
    const last = (await planRestore(client, { txid, ...options })).at(-1);
    return last === undefined ? undefined : statementOf(last, await readLtxHeader(client, last, options));
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'TXID_OUT_OF_RANGE')) return undefined;
    throw error;
  }
}

function statementOf(file: LtxFileRef, { extension }: LtxHeader): Statement {
  return { name: fileName(file), checksum: extension?.databaseChecksum ?? 0n };
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
