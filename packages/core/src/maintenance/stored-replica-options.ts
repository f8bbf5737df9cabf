/** Options and counters of a replica that a store maintains. */
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, Op, ReplicaClient } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { DrillsOptions, DrillStatus } from '../drill/drills.ts';
import type { Logger } from '../util/logger.ts';
import type { LocalFiles } from '../compaction/compactor.ts';
import type { CompactionLevel } from '../compaction/compaction-levels.ts';
import type { Level0Counts } from '../retention/retention-pass.ts';
import type { ValidationOutcome } from '../verify/validation-outcomes.ts';

/** What the store needs of a replica, and nothing about databases. */
export interface ReplicaUnderStore {
  readonly client: ReplicaClient;
  /** Last TXID that is wholly on the backend. */
  readonly position: { readonly txid: TXID };
  /** The backend is unreachable. Until an upload succeeds, the store does no work on the replica. */
  readonly isDown?: boolean | undefined;
  /**
   * False until it is certain that the replica's files are those of the database: until then, local files are not read.
   */
  readonly isKnown?: boolean | undefined;
  /** Last transaction of another program, which may have broken the timeline. Undefined once a snapshot has repaired that. */
  readonly snapshotOwedFor?: TXID | undefined;
  /**
   * The newest file of each level, from a recent listing, before anything except level 0 was written. Returns it once.
   * Undefined if that is not known: then the store lists the levels.
   */
  takeTops?(): ReadonlyMap<number, LtxFileInfo> | undefined;
  /**
   * Call this if files of the backend are gone: from then on nothing counts as replicated until a snapshot is uploaded.
   * Resolves then, to that snapshot, or to undefined if another call took it.
   */
  recoverCut?(op?: Op): Promise<LtxFileInfo | undefined>;
  /** Rejects with `REPLICA_CONFLICT` if the backend has a file that another process wrote, and reports it. */
  requireAlone?(op?: Op): Promise<void>;
  /** Has the replica already warned of the gap at level 0 that begins with this transaction? */
  isGapReported?(txid: TXID): boolean;
  /** Writes the current state of the database to the snapshot level. Undefined if there is no database yet. */
  snapshot(op?: Op): Promise<LtxFileInfo | undefined>;
}

export interface StoredReplicaOptions {
  readonly levels: readonly CompactionLevel[];
  readonly snapshotIntervalMs: number;
  readonly snapshotRetentionMs: number;
  /** 0 keeps level 0 permanently. */
  readonly level0RetentionMs: number;
  readonly retentionEnabled: boolean;
  readonly verifyCompaction: boolean;
  readonly local?: LocalFiles | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  /** Path of the database, for log lines. */
  readonly path?: string | undefined;
  /** Called for each file that a compaction has written. Must not throw. */
  readonly onCompaction?: ((file: LtxFileInfo) => void) | undefined;
  /** Called for each problem found by `verify-compaction`. */
  readonly onVerifyError?: ((message: string) => void) | undefined;
  /** Without it, there are no restore drills. */
  readonly drills?: Pick<DrillsOptions, 'place' | 'onDrill'> | undefined;
}

/** Counts since the replica was added to the store. */
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
