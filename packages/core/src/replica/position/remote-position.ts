/** Finds the end of a replica by listing it. */
import { isLtxError, verifyLtx } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { readLtxHeader } from '../../storage/reading/read-header.ts';
import { resumableSource } from '../../storage/reading/resumable-reader.ts';
import { hasCode } from '../../util/error.ts';
import { isSnapshotFile, LEVELS, SNAPSHOT_LEVEL } from '../../storage/contract/levels.ts';
import type { Instant } from './instant.ts';

/** Highest TXID at a level, 0 if it is empty. With `seek`, only of files that start there or later. */
export async function maxTxidOfLevel(
  client: ReplicaClient,
  level: number,
  options: { seek?: TXID | undefined } & Op = {},
): Promise<TXID> {
  return (await newestOfLevel(client, level, options))?.maxTxid ?? 0n;
}

async function newestOfLevel(
  client: ReplicaClient,
  level: number,
  options: { seek?: TXID | undefined } & Op,
): Promise<LtxFileInfo | undefined> {
  let newest: LtxFileInfo | undefined;
  for await (const file of client.ltxFiles(level, options)) newest = later(newest, file);
  return newest;
}

function later(a: LtxFileInfo | undefined, b: LtxFileInfo | undefined): LtxFileInfo | undefined {
  return a === undefined || (b !== undefined && b.maxTxid > a.maxTxid) ? b : a;
}

/** Highest TXID at level 0, at the compacted levels above it, and at any level; 0 for none. */
export interface ReplicaEnds {
  readonly level0: TXID;
  readonly compacted: TXID;
  readonly max: TXID;
  /** The file that ends there, of the lowest level. */
  readonly newest: LtxFileInfo | undefined;
  /** The newest file of each level that has one. */
  readonly tops: ReadonlyMap<number, LtxFileInfo>;
}

/** The answer of the replica at this time or later. */
export interface AskedEnds extends ReplicaEnds {
  readonly askedAt: Instant;
}

/**
 * Where uploads continue: at the end of level 0, or of the compacted levels if level 0 is empty. Transactions that only
 * a snapshot holds may not have been uploaded before a crash: they are uploaded as well, if there are local files of
 * them.
 */
export function endOf({ level0, compacted }: Pick<ReplicaEnds, 'level0' | 'compacted'>): TXID {
  return level0 > 0n ? level0 : compacted;
}

/** Lists every level: a compacted file or a snapshot may reach further than level 0. */
export async function maxTxidsOfReplica(client: ReplicaClient, options: Op = {}): Promise<ReplicaEnds> {
  const tops = new Map<number, LtxFileInfo>();
  const add = (file: LtxFileInfo | undefined): void => {
    const top = file === undefined ? undefined : later(tops.get(file.level), file);
    if (top !== undefined) tops.set(top.level, top);
  };
  if (client.allLtxFiles === undefined) {
    for (const top of await Promise.all(LEVELS.map((level) => newestOfLevel(client, level, options)))) add(top);
  } else {
    for await (const file of client.allLtxFiles(options)) add(file);
  }
  const ascending: readonly (LtxFileInfo | undefined)[] = [...tops.values()].sort((a, b) => a.level - b.level);
  const newest = ascending.reduce(later, undefined);
  const compacted = ascending
    .filter((top) => top !== undefined && top.level > 0 && top.level < SNAPSHOT_LEVEL)
    .reduce(later, undefined);
  return {
    level0: tops.get(0)?.maxTxid ?? 0n,
    compacted: compacted?.maxTxid ?? 0n,
    max: newest?.maxTxid ?? 0n,
    newest,
    tops,
  };
}

/** Files up to this size are read completely to get a verified header. */
const VERIFIED_SIZE_MAX = 1 << 20;

/**
 * Time of the last transaction in a file, from its header. The header of a damaged file cannot be trusted: then it is
 * the time of the listing, which by the server's clock is never earlier than the transaction.
 */
export async function timeOf(client: ReplicaClient, file: LtxFileInfo, options: Op): Promise<Date> {
  try {
    const { timestampMs } =
      file.size <= VERIFIED_SIZE_MAX
        ? (await verifyLtx(resumableSource(client, file, options))).header
        : await readLtxHeader(client, file, options);
    return new Date(timestampMs);
  } catch (error) {
    if (!isLtxError(error) && !hasCode(error, 'NOT_FOUND') && !hasCode(error, 'OBJECT_CHANGED')) throw error;
    return file.timestamp;
  }
}

/**
 * Where uploads continue. `near` is the expected end of level 0: files before it are not listed if one is found there.
 * A position beyond `near` is the end of the replica at any level.
 */
export async function remotePosition(client: ReplicaClient, near: TXID, options: Op = {}): Promise<TXID> {
  const found = near > 1n ? await maxTxidOfLevel(client, 0, { ...options, seek: near }) : 0n;
  if (found > 0n) return found;
  const ends = await maxTxidsOfReplica(client, options);
  return ends.max > near ? ends.max : endOf(ends);
}

/** The newest snapshot that reaches at least to `txid`, if there is one. */
export async function snapshotFrom(
  client: ReplicaClient,
  txid: TXID,
  options: Op = {},
): Promise<LtxFileInfo | undefined> {
  let newest: LtxFileInfo | undefined;
  for await (const file of client.ltxFiles(SNAPSHOT_LEVEL, options)) {
    if (isSnapshotFile(file) && file.maxTxid >= txid) newest = file;
  }
  return newest;
}

/** The level-0 file of one transaction; undefined if the replica has none. */
export async function openLevel0(
  client: ReplicaClient,
  txid: TXID,
  options: Op,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  try {
    return await client.openLtxFile({ level: 0, minTxid: txid, maxTxid: txid }, options);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
