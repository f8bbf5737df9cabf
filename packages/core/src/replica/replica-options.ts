import type { LtxFileInfo } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { Position } from '../db/session/options.ts';
import type { ReplicaFence } from './position/fence.ts';
import type { Logger } from '../util/logger.ts';
import type { ShutdownSyncOptions } from './upload/shutdown-sync.ts';

export interface ReplicaOptions {
  /** Least time between two rounds of uploads. Default 1 s. */
  readonly syncIntervalMs?: number | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
  /**
   * False: a local file that was lost before it was sent ends in an error, tried again until somebody resets the database,
   * in place of a snapshot that makes up for it; and after another process wrote to the replica nothing is written there
   * until this one is started again, in place of going on behind the other's files once it is quiet. Default true.
   */
  readonly autoRecover?: boolean | undefined;
  /**
   * The lease that is needed to write to the replica. `client` must write only while it is held. Default: no lease is needed.
   */
  readonly fence?: ReplicaFence | undefined;
  /** How long another process that wrote to the replica must be quiet before this one goes on. Default 60 s. */
  readonly conflictQuietMs?: number | undefined;
  /** Called for each failure of an upload that will be tried again by itself. Must not throw. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Called for each snapshot that is on the replica. Must not throw. */
  readonly onSnapshot?: ((file: LtxFileInfo) => void) | undefined;
}

export interface StopOptions extends ShutdownSyncOptions {
  /** Send what is committed before stopping. Default true. */
  readonly finalSync?: boolean | undefined;
}

/** What a status page or a metric may want to know. */
export interface ReplicaStatus {
  readonly position: Position;
  readonly lastSyncAt: Date | undefined;
  readonly lastError: unknown;
}
