/** How far a remote replica reaches, by listing it. */
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

/** Highest TXID at level 0, at the levels that are made of it, and at any level; 0 for none. */
export interface ReplicaEnds {
  readonly level0: TXID;
  readonly compacted: TXID;
  readonly max: TXID;
  /** The file that ends there, of the lowest level. */
  readonly newest: LtxFileInfo | undefined;
  /** The newest file of each level that has one. */
  readonly tops: ReadonlyMap<number, LtxFileInfo>;
}

/** As the replica answered at this time or later. */
export interface AskedEnds extends ReplicaEnds {
  readonly askedAt: Instant;
}

/**
 * From where uploads go on: the end of level 0, or of what it was compacted to where that is empty. What only a snapshot
 * holds may not have been sent before a crash: it is sent as well, as far as there are local files of it.
 */
export function endOf({ level0, compacted }: Pick<ReplicaEnds, 'level0' | 'compacted'>): TXID {
  return level0 > 0n ? level0 : compacted;
}

/** Looks at every level: a compacted file or a snapshot may reach further than level 0. */
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

/** Small enough to be read whole for the sake of its header. */
const VERIFIED_SIZE_MAX = 1 << 20;

/**
 * Time of the last transaction in a file. It is in the header; a file that is damaged has none that can be trusted, and
 * then it is what the listing says: never earlier than the transaction, by the server's clock.
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
 * From where uploads go on. `near` is where level 0 is expected to end: files before it are not listed if one is found
 * there. A position beyond `near` is where the replica ends at any level.
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
