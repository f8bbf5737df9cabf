import type { TXID } from '@litestream/ltx';
import type { CompactionLevel } from '../../compaction/compaction-levels.ts';
import type { DbOptions, Position } from '../../db/session/options.ts';
import type { DrillResult } from '../../drill/drill.ts';
import type { LeaseOptions } from '../../lease/holder-options.ts';
import type { LeaseStatus } from '../../lease/status.ts';
import type { LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import type { RequiredAnswers } from '../replication/farthest-timeline.ts';

/** Settings of the maintenance of replicas. Durations are in milliseconds. */
export interface MaintenanceSettings {
  readonly levels: readonly CompactionLevel[];
  readonly snapshotIntervalMs: number;
  readonly snapshotRetentionMs: number;
  /** 0 keeps level 0 permanently. */
  readonly level0RetentionMs: number;
  readonly level0CheckIntervalMs: number;
  /** 0: never. */
  readonly validationIntervalMs: number;
  /** 0: never. */
  readonly drillIntervalMs: number;
  readonly retentionEnabled: boolean;
  readonly verifyCompaction: boolean;
}

export interface DatabaseSettings {
  /** Absolute. */
  readonly path: string;
  readonly options: Omit<DbOptions, 'driver' | 'logger' | 'clock'>;
  /** See `DatabaseReplicationParts`. */
  readonly required: RequiredAnswers;
  /** See `DatabaseReplicationParts`. Default: the last transaction in the local files that `DB` lists. */
  readonly localTxid?: (() => TXID) | undefined;
  /** See `DatabaseReplicationParts`. */
  readonly restore?: ((op: Op) => Promise<unknown>) | undefined;
  /** Called each time that monitoring and uploads start. */
  readonly onStart?: (() => void) | undefined;
}

/** The callbacks must not throw. */
export interface ReplicaSettings {
  readonly client: ReplicaClient;
  /** For messages, without credentials. */
  readonly name: string;
  /** See `backendOf`. */
  readonly backend: string;
  /** See `TimelinePart.circuit`. */
  readonly circuit?: string | undefined;
  readonly syncIntervalMs?: number | undefined;
  readonly autoRecover?: boolean | undefined;
  readonly lease?: LeaseOptions | undefined;
  readonly onUpload?: ((position: Position) => void) | undefined;
  readonly onSnapshot?: ((file: LtxFileInfo) => void) | undefined;
  readonly onCompaction?: ((file: LtxFileInfo) => void) | undefined;
  readonly onDrill?: ((result: DrillResult) => void) | undefined;
  readonly onLease?: ((status: LeaseStatus) => void) | undefined;
  /** Called when an upload failed. Litestream retries it. */
  readonly onError?: ((error: unknown) => void) | undefined;
}
