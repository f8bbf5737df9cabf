/** What one sync of an open database works with. */
import type { TXID } from '@litestream/ltx';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Logger } from '../../util/logger.ts';
import type { CommitTimes } from '../session/commit-times.ts';
import type { LocalLtx } from '../../local-ltx/local-ltx.ts';
import type { Session } from '../session/session.ts';
import type { OnWriteProgress } from '../../local-ltx/writer/write-job.ts';

/** A transaction without a local file: see `leave-out.ts`. */
export interface LeftOut {
  readonly txid: TXID;
  readonly timestampMs: number;
}

export interface SyncContext {
  readonly session: Session;
  readonly level0: LocalLtx;
  readonly times: CommitTimes;
  readonly ledger: Ledger;
  readonly logger: Logger;
  /** WAL bytes that a file may contain, cut at a commit; 0: no limit. */
  readonly sizeMax: number;
  /** Bytes of the WAL that were written to a file. */
  readonly onWalBytes?: (bytes: number) => void;
  readonly onProgress?: OnWriteProgress | undefined;
  readonly metaPath: string;
  /** Called if replicas must take a snapshot since the disk has no room for the whole database. Undefined: the sync fails. */
  readonly onLeftOut?: ((leftOut: LeftOut) => void) | undefined;
  /** Whether the sync runs behind the barrier of a checkpoint; only for log lines. */
  readonly checkpointing?: boolean;
}
