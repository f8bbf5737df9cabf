import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op } from '../storage/contract/contract.ts';
import type { Checkpoint } from '../db/status/db-status.ts';
import type { DbOptions } from '../db/session/options.ts';
import type { DrillResult } from '../drill/drill.ts';
import type { SqliteDriver } from '../sqlite/driver/sqlite-driver.ts';
import type { PageProof } from '../ledger/ledger.ts';
import type { LeaseOptions } from '../lease/holder-options.ts';
import type { LeaseStatus } from '../lease/status.ts';
import type { Logger } from '../util/logger.ts';
import type { LitestreamPlugin } from '../plugins/plugin.ts';
import type { StoreOptions } from '../maintenance/store.ts';
import type { Composition } from './composition/tokens.ts';

/** What happens to the databases of one `Litestream`. `replica` is the name of one; see `NamedReplicaStatus`. */
export interface LitestreamEvents {
  /** Commits are in a local file. */
  readonly sync: { readonly path: string; readonly txid: TXID };
  /** Everything up to this transaction is on the replica. */
  readonly upload: { readonly path: string; readonly replica: string; readonly txid: TXID };
  /** SQLite moved pages in the WAL into the database file, or was kept from it (`busy`). */
  readonly checkpoint: { readonly path: string } & Checkpoint;
  /** Files of a level were merged into one of the next. */
  readonly compaction: { readonly path: string; readonly replica: string; readonly file: LtxFileInfo };
  /** The whole database is on the replica as one file. */
  readonly snapshot: {
    readonly path: string;
    readonly replica: string;
    readonly txid: TXID;
    readonly file: LtxFileInfo;
  };
  /** All pages of the database were compared with what was replicated up to this transaction, and were equal. */
  readonly proven: { readonly path: string } & PageProof;
  /** A restore drill succeeded. One that failed is an `error`. */
  readonly drill: { readonly path: string; readonly replica: string } & DrillResult;
  /** The lease of a replica was acquired, lapsed (it could not be renewed in time), was renewed again, lost or released. */
  readonly lease: { readonly path: string; readonly replica: string } & LeaseStatus;
  /** Something failed. Litestream retries it. */
  readonly error: { readonly path: string | undefined; readonly replica: string | undefined; readonly error: unknown };
}

export interface LitestreamOptions {
  /** Backends beside files: `[gcs()]`. */
  readonly plugins?: readonly LitestreamPlugin[] | undefined;
  /** The library the program itself opens the databases with. Default: `node:sqlite`. */
  readonly driver?: SqliteDriver | undefined;
  readonly logger?: Logger | undefined;
  /** Levels, snapshots, retention. `false`: level-0 files only, and another process compacts them. */
  readonly store?: LitestreamStoreOptions | false | undefined;
  /** Replaces parts of Litestream, such as its clock. Default: none. */
  readonly composition?: Composition | undefined;
}

/** Durations are in milliseconds. Defaults are those of Litestream (Go), where it has the option. */
export interface LitestreamStoreOptions extends Omit<StoreOptions, 'clock' | 'logger' | 'onError'> {
  /** Replicas of one backend worked on at the same time. Default 4, of which snapshots and validation take at most half. */
  readonly concurrency?: number | undefined;
  /** How long snapshots, and what is needed to restore between them, are kept. Default 24 h. */
  readonly snapshotRetentionMs?: number | undefined;
  /** How long level-0 files are kept once they are compacted. Default 5 min; 0 keeps them on the replica for good. */
  readonly level0RetentionMs?: number | undefined;
  /**
   * How often the newest state of each replica is restored to a temporary file, proven, and removed. The file is made in
   * `stagingPath`, or in `metaPath` if there is ample room on its disk. Default 0: never.
   */
  readonly drillIntervalMs?: number | undefined;
  /** List a level again after each compaction, read back what was written, and check both. Default false. */
  readonly verifyCompaction?: boolean | undefined;
}

export interface ReplicateOptions extends Omit<DbOptions, 'driver' | 'logger' | 'clock'>, Op {
  /**
   * Wait for the lease on the replica before anything else, and write there only while this process holds it. Needs a backend
   * with conditional writes. With several replicas, it waits for the lease on each, in their order. Default false.
   */
  readonly lease?: boolean | LeaseOptions | undefined;
  /**
   * Restore the database before it is replicated, if there is no file yet and the replica holds a backup. With several replicas, all
   * have to answer, and the database is restored from the one with the highest TXID. Default false.
   */
  readonly restoreIfMissing?: boolean | undefined;
}
