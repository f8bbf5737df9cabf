import type { TXID } from '@litestream/ltx';
import type { Op } from '../../storage/contract/contract.ts';
import type { LeftOut } from '../../db/sync/sync-context.ts';
import type { Position, SyncOptions } from '../../db/session/options.ts';
import type { SnapshotStream } from '../../db/snapshot/snapshot.ts';

/** What a replica needs of a database. `DB` is one. */
export interface ReplicaDb {
  readonly position: Position;
  /** How often a file was opened as this database: each time, it may be another database than before. */
  readonly generation?: number | undefined;
  /** Inode of the database file, if known: another inode means another database. */
  readonly inode?: bigint | undefined;
  /**
   * The highest TXID that was known, here or on a replica, when the database was last opened: later transactions come
   * after it. If it is given, a replica that did not answer then is compared with it when it does.
   */
  readonly baseline?: TXID | undefined;
  /** Last transaction that another program wrote, while that program may have left gaps that break restores. */
  readonly snapshotOwedFor?: TXID | undefined;
  /**
   * The last transaction that has no local file because the disk has no room for one: a snapshot replaces the missing files
   * up to it.
   */
  readonly leftOut?: LeftOut | undefined;
  /** A snapshot of the database is on the replica. */
  snapshotKept?(): void;
  sync(options?: SyncOptions): Promise<Position>;
  /**
   * Writes every page into the next level-0 file: after it, no page of an earlier file matters, regardless of which
   * process wrote it. Its TXID is above `above`, if that is given.
   */
  syncWhole(reason: string, options?: { readonly above?: TXID | undefined } & Op): Promise<Position>;
  snapshot(options?: Op): Promise<SnapshotStream>;
  onChange(listener: (position: Position) => void): () => void;
  /**
   * Makes the database delay its next file while this replica has several to upload. `filesInFlight`: how many local files the
   * replica does not have yet, while an upload runs; 0 while no upload runs. Returns a function that removes the replica.
   */
  awaitUploads?(filesInFlight: () => number): () => void;
  /** Local files of a level. */
  localLtx(level: number): {
    path(minTxid: TXID, maxTxid: TXID): string;
    list(): readonly { readonly minTxid: TXID; readonly maxTxid: TXID }[];
    delete(minTxid: TXID, maxTxid: TXID): void;
  };
}
