/** The contexts of each kind of work on an open database. */
import type { TXID } from '@litestream/ltx';
import type { Op } from '../storage/contract/contract.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Logger } from '../util/logger.ts';
import { checkPages } from './sync/check-pages.ts';
import { checkpointContextOf } from './checkpoint/checkpoint.ts';
import type { CheckpointContext } from './checkpoint/checkpoint.ts';
import type { CommitTimes } from './session/commit-times.ts';
import type { Checkpoint } from './status/db-status.ts';
import type { StateContext } from './snapshot/fixed-state.ts';
import type { LocalLtx } from '../local-ltx/local-ltx.ts';
import type { Mutex } from '../util/mutex.ts';
import type { ResolvedDbOptions } from './session/options.ts';
import type { Session } from './session/session.ts';
import type { LeftOut } from './sync/sync-context.ts';
import type { SyncOutcome } from './sync/sync.ts';
import type { SyncSessionContext } from './sync/sync-session.ts';
import type { WorkCounter } from './status/work-totals.ts';

export interface ContextParts {
  readonly options: ResolvedDbOptions;
  readonly metaPath: string;
  readonly level0: LocalLtx;
  readonly times: CommitTimes;
  readonly ledger: Ledger;
  readonly totals: WorkCounter;
  /** The mutex of all work that changes the position. */
  readonly mutex: Mutex;
  readonly logger: Logger;
  /** See `SyncContext`; undefined while there is no replica. */
  readonly onLeftOut: () => ((leftOut: LeftOut) => void) | undefined;
  readonly onCheckpoint: (checkpoint: Checkpoint) => void;
  readonly publish: (txid: TXID) => void;
  readonly close: (session: Session) => Promise<void>;
  readonly current: () => Session | undefined;
  /** Inside the mutex. */
  readonly require: (operation: string, options: Op) => Promise<Session>;
  /** Inside the mutex. */
  readonly sync: (session: Session, options: Op) => Promise<SyncOutcome>;
}

export class Contexts {
  readonly #parts: ContextParts;

  constructor(parts: ContextParts) {
    this.#parts = parts;
  }

  sync(session: Session, { signal }: Op): SyncSessionContext {
    const { options, metaPath, level0, times, ledger, totals, logger, publish } = this.#parts;
    return {
      session,
      metaPath,
      level0,
      times,
      ledger,
      logger,
      publish,
      onLeftOut: this.#parts.onLeftOut(),
      sizeMax: options.maxSyncWalBytes,
      busy: { busyTimeoutMs: options.busyTimeoutMs, signal },
      onWalBytes: (bytes) => totals.addWalBytes(bytes),
      onProgress: options.onProgress,
      close: () => this.#parts.close(session),
    };
  }

  checkpoint(session: Session, op: Op): CheckpointContext {
    const { options, totals, onCheckpoint } = this.#parts;
    return checkpointContextOf(this.sync(session, op), options, totals, (mode, result) =>
      onCheckpoint({ mode, ...result }),
    );
  }

  /** For work that reads all pages while writers continue. */
  state(operation: string, op: Op): StateContext {
    const { options, logger, mutex, current, require, sync } = this.#parts;
    return {
      lock: (body) => mutex.run(body, op.signal),
      prepare: () => require(operation, op),
      sync: (session) => sync(session, op),
      checkPages: (seen, pages) =>
        mutex.run(() => checkPages(this.sync(seen.session, {}), current(), seen.last, pages)),
      busyTimeoutMs: options.busyTimeoutMs,
      logger,
      signal: op.signal,
    };
  }
}
