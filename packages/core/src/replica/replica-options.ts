import type { LtxFileInfo } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { Position } from '../db/session/options.ts';
import type { ReplicaFence } from './position/fence.ts';
import type { Logger } from '../util/logger.ts';
import type { ShutdownSyncOptions } from './upload/shutdown-sync.ts';

export interface ReplicaOptions {
  /** Minimum time between the starts of two rounds of uploads, in milliseconds. Default 1 s. */
  readonly syncIntervalMs?: number | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
  /**
   * True: if a local file is lost before it was uploaded, a snapshot replaces it; if another process wrote to the
   * replica, this one continues behind its files once that process is quiet. False: the lost file is an error until you
   * reset the database; after another process wrote to the replica, this process writes nothing there until you restart
   * it. Default true.
   */
  readonly autoRecover?: boolean | undefined;
  /**
   * The lease that is needed to write to the replica. `client` must write only while it is held. Default: no lease is needed.
   */
  readonly fence?: ReplicaFence | undefined;
  /**
   * Milliseconds that another process that wrote to the replica must be quiet before this one continues. Default
   * 60,000.
   */
  readonly conflictQuietMs?: number | undefined;
  /** Called for each failure of an upload that is retried automatically. Must not throw. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Called for each snapshot that is on the replica. Must not throw. */
  readonly onSnapshot?: ((file: LtxFileInfo) => void) | undefined;
}

export interface StopOptions extends ShutdownSyncOptions {
  /** Upload all commits before stopping. Default true. */
  readonly finalSync?: boolean | undefined;
}

/** The state of a replica, for status pages and metrics. */
export interface ReplicaStatus {
  readonly position: Position;
  readonly lastSyncAt: Date | undefined;
  readonly lastError: unknown;
}
