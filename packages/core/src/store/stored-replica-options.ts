/** What a replica under the care of a store needs, and what is counted of it. */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../client/contract.ts';
import type { Clock } from '../clock.ts';
import type { DrillsOptions, DrillStatus } from '../drill/drills.ts';
import type { Logger } from '../logger.ts';
import type { LocalFiles } from './compactor.ts';
import type { CompactionLevel } from './levels.ts';
import type { Level0Counts } from './retention-pass.ts';
import type { ValidationOutcome } from './validation-outcomes.ts';

/** What the store needs of a replica, and nothing about databases. */
export interface ReplicaUnderStore {
  readonly client: ReplicaClient;
  /** Last TXID that is wholly on the backend. */
  readonly position: { readonly txid: TXID };
  /** Nothing reaches the backend at the moment: until something does, there is no use in looking after it. */
  readonly isDown?: boolean | undefined;
  /** False until it is certain that the replica's files are those of the database: local files are not read till then. */
  readonly isKnown?: boolean | undefined;
  /** Last transaction of another program, which may have torn the history, while no snapshot makes up for that. */
  readonly snapshotOwedFor?: TXID | undefined;
  /**
   * The newest file of each level, as listed a moment ago, before anything but level 0 was written; gives it once.
   * Undefined if that is not known: then the levels are listed.
   */
  takeTops?(): ReadonlyMap<number, LtxFileInfo> | undefined;
  /**
   * Files that were on the backend are gone: from now on nothing counts as safe there until a snapshot is on it, which is
   * so once this resolves: to that snapshot, unless another call took it.
   */
  recoverCut?(op?: Op): Promise<LtxFileInfo | undefined>;
  /** Rejects with `REPLICA_CONFLICT` if the backend has a file that another process wrote, and reports it. */
  requireAlone?(op?: Op): Promise<void>;
  /** Has it warned by itself that level 0 lacks this transaction, and some that follow it? */
  isHoleTold?(txid: TXID): boolean;
  /** Writes the database's present state to the snapshot level. Undefined if the database is not there yet. */
  snapshot(op?: Op): Promise<LtxFileInfo | undefined>;
}

export interface StoredReplicaOptions {
  readonly levels: readonly CompactionLevel[];
  readonly snapshotIntervalMs: number;
  readonly snapshotRetentionMs: number;
  /** 0 keeps level 0 for good. */
  readonly level0RetentionMs: number;
  readonly retentionEnabled: boolean;
  readonly verifyCompaction: boolean;
  readonly local?: LocalFiles | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  /** Of the database: named in log lines. */
  readonly path?: string | undefined;
  /** Called for each file that a compaction has written. Must not throw. */
  readonly onCompaction?: ((file: LtxFileInfo) => void) | undefined;
  /** Called for each problem found by `verify-compaction`. */
  readonly onVerifyError?: ((message: string) => void) | undefined;
  /** Without it, there are no restore drills. */
  readonly drills?: Pick<DrillsOptions, 'place' | 'onDrill'> | undefined;
}

/** Counted since the replica was given to the store. */
export interface StoredReplicaCounts {
  readonly compactions: number;
  readonly snapshots: number;
  readonly verifyErrors: number;
  readonly validationErrors: number;
  readonly level0: Level0Counts;
  /** By level; empty before the first validation. */
  readonly validation: ReadonlyMap<number, ValidationOutcome>;
  /** Undefined before the first restore drill. */
  readonly drill: DrillStatus | undefined;
}
