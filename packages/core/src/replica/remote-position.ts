/** How far a remote replica reaches, by listing it. */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';

const SNAPSHOT_LEVEL = 9;

/** Highest TXID at a level, 0 if it is empty. With `seek`, only of files that start there or later. */
export async function maxTxidOfLevel(
  client: ReplicaClient,
  level: number,
  options: { seek?: TXID | undefined } & Op = {},
): Promise<TXID> {
  let max = 0n;
  for await (const file of client.ltxFiles(level, options)) if (file.maxTxid > max) max = file.maxTxid;
  return max;
}

/** Highest TXID at level 0, and at any level; 0 for none. */
export interface ReplicaEnds {
  readonly level0: TXID;
  readonly max: TXID;
}

/** From where uploads go on: the end of level 0, or of any level where that is empty (compacted and expired). */
export function endOf({ level0, max }: ReplicaEnds): TXID {
  return level0 > 0n ? level0 : max;
}

export async function maxTxidsOfReplica(client: ReplicaClient, options: Op = {}): Promise<ReplicaEnds> {
  const levels = Array.from({ length: SNAPSHOT_LEVEL + 1 }, (_, level) => level);
  const ends = await Promise.all(levels.map((level) => maxTxidOfLevel(client, level, options)));
  return { level0: ends[0] ?? 0n, max: ends.reduce((max, end) => (end > max ? end : max), 0n) };
}

/**
 * The last transaction at level 0, from which uploads go on; where that level is empty (all of it compacted and
 * expired), the last at any level. `near` is where it is expected: files before it are not listed if one is found there.
 */
export async function remotePosition(client: ReplicaClient, near: TXID, options: Op = {}): Promise<TXID> {
  const found = near > 1n ? await maxTxidOfLevel(client, 0, { ...options, seek: near }) : 0n;
  if (found > 0n) return found;
  return endOf(await maxTxidsOfReplica(client, options));
}

/** The newest snapshot that reaches at least to `txid`, if there is one. */
export async function snapshotFrom(
  client: ReplicaClient,
  txid: TXID,
  options: Op = {},
): Promise<LtxFileInfo | undefined> {
  let newest: LtxFileInfo | undefined;
  for await (const file of client.ltxFiles(SNAPSHOT_LEVEL, options)) {
    if (file.minTxid === 1n && file.maxTxid >= txid) newest = file;
  }
  return newest;
}
