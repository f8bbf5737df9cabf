/** Lists the points in time to which a replica can be restored. */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';
import { LitestreamError } from '../util/error.ts';
import { listV3, timeOf } from './v3/listing.ts';
import type { V3Listing } from './v3/listing.ts';
import { isBetter } from './plan/chain.ts';
import { listInOrder, planChain } from './plan/plan.ts';

/** A state that `restore` can make. */
export type RestorePoint = LtxRestorePoint | V3RestorePoint;

export interface LtxRestorePoint {
  readonly format: 'ltx';
  /** The last transaction of this state. */
  readonly txid: TXID;
  /** Time of that transaction. */
  readonly timestamp: Date;
  /** Level of the file that ends with it: 0 raw, 1 to 8 compacted, 9 a snapshot. */
  readonly level: number;
  /** The last transaction of the snapshot that a restore begins with; 0 if it begins with the first transaction. */
  readonly snapshotTxid: TXID;
}

/** A state that Litestream 0.3 stored. Such a state has no TXID. */
export interface V3RestorePoint {
  readonly format: 'v0.3';
  /** Time of the upload of the last object that it needs. */
  readonly timestamp: Date;
  /** 16 hex digits. */
  readonly generation: string;
  /** Number of the WAL in its generation. */
  readonly index: number;
}

/**
 * The restore points of a replica, oldest first: those of Litestream 0.3, then those of LTX files by TXID. Reads listings, and
 * also metadata if the backend keeps the times of transactions there. Rejects with `REPLICA_EMPTY` or `REPLICA_GAP` if no state
 * can be restored.
 */
export async function listRestorePoints(client: ReplicaClient, { signal }: Op = {}): Promise<RestorePoint[]> {
  const files = await listInOrder({ client, useMetadata: true, signal });
  const v3 = await listV3(client, { signal });
  const points = [...(v3 === undefined ? [] : restorePointsV3(v3)), ...restorePointsOf(files)];
  if (points.length > 0) return points;
  planChain(files, {}, Date.now());
  throw new LitestreamError('no file of the replica can be restored', {
    code: 'REPLICA_GAP',
    operation: 'restore',
    hint: 'A restore needs a snapshot to start from. Check whether a retention rule of the backend deleted it.',
  });
}

/**
 * The TXIDs to which `planChain` finds a chain, ascending. As in `planChain`, a chain begins with the newest snapshot that does not
 * go past the end of the chain. So a file is a restore point if it continues the last TXID that a chain from that snapshot
 * reaches. O(n log n) in the number of files.
 */
export function restorePointsOf(files: readonly LtxFileInfo[]): LtxRestorePoint[] {
  const points: LtxRestorePoint[] = [];
  let snapshotTxid: TXID = 0n;
  let reached: TXID = 0n;
  const add = ({ maxTxid: txid, timestamp, level }: LtxFileInfo): void => {
    points.push({ format: 'ltx', txid, timestamp, level, snapshotTxid });
    reached = txid;
  };
  const byEnd = files.toSorted((a, b) => (a.maxTxid === b.maxTxid ? 0 : a.maxTxid < b.maxTxid ? -1 : 1));
  for (let from = 0, to = 0; from < byEnd.length; from = to) {
    const end = byEnd[from]?.maxTxid ?? 0n;
    let snapshot: LtxFileInfo | undefined;
    let next: LtxFileInfo | undefined;
    for (to = from; byEnd[to]?.maxTxid === end; to += 1) {
      const file = byEnd[to] as LtxFileInfo;
      if (file.level === SNAPSHOT_LEVEL) snapshot = file.minTxid === 1n ? file : snapshot;
      else if (file.minTxid <= reached + 1n && (next === undefined || isBetter(file, next))) next = file;
    }
    if (snapshot !== undefined) snapshotTxid = end;
    const last = snapshot ?? next;
    if (last !== undefined) add(last);
  }
  return points;
}

/** Each object whose predecessors all exist, by time. Only the contents of segments show whether they really continue each other. */
function restorePointsV3({ snapshots, segments }: V3Listing): V3RestorePoint[] {
  const points: V3RestorePoint[] = [];
  for (const [order, snapshot] of snapshots.entries()) {
    const { generation, index } = snapshot;
    const untilMs = timeOf(snapshots[order + 1] ?? snapshot);
    const isNewest = order === snapshots.length - 1;
    points.push({ format: 'v0.3', timestamp: snapshot.object.lastModified, generation, index });
    let last = index - 1;
    for (const file of segments) {
      if (file.generation !== generation || file.index < index) continue;
      if (!isNewest && timeOf(file) >= untilMs) break;
      if (file.index !== last && (file.index !== last + 1 || file.offset !== 0)) break;
      last = file.index;
      if (timeOf(file) < timeOf(snapshot)) continue;
      points.push({ format: 'v0.3', timestamp: file.object.lastModified, generation, index: file.index });
    }
  }
  return points.sort((a, b) => a.timestamp.getTime() - b.timestamp.getTime());
}
