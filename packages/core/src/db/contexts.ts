/** The contexts of each kind of work on an open database. */
import type { TXID } from '@litestream/ltx';
import type { Op } from '../storage/contract/contract.ts';
import { checkpointContextOf } from './checkpoint/checkpoint-context.ts';
import type { CheckpointContext } from './checkpoint/checkpoint-context.ts';
import type { DbContext } from './db-context.ts';
import type { Session } from './session/session.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { LeftOut } from './sync/sync-context.ts';
import type { SyncSessionContext } from './sync/sync-session.ts';

export class Contexts {
  readonly #context: DbContext;
  readonly #keeper: SessionKeeper;
  readonly #publish: (txid: TXID) => void;
  readonly #leaveOut: (leftOut: LeftOut) => void;
  readonly #addWalBytes: (bytes: number) => void;

  constructor(context: DbContext, keeper: SessionKeeper) {
    this.#context = context;
    this.#keeper = keeper;
    this.#publish = (txid) => context.position.publish(txid);
    this.#leaveOut = (leftOut) => context.position.leaveOut(leftOut);
    this.#addWalBytes = (bytes) => context.record.totals.addWalBytes(bytes);
  }

  sync(session: Session, { signal }: Op): SyncSessionContext {
    const { metaPath, level0, times, ledger, logger, options } = this.#context;
    return {
      session,
      metaPath,
      level0,
      times,
      ledger,
      logger,
      publish: this.#publish,
      // Without a replica, only the database itself has the state.
      onLeftOut: this.#keeper.history === undefined ? undefined : this.#leaveOut,
      sizeMax: options.maxSyncWalBytes,
      busy: { busyTimeoutMs: options.busyTimeoutMs, signal },
      onWalBytes: this.#addWalBytes,
      onProgress: options.onProgress,
      close: () => this.#keeper.close(session),
    };
  }

  checkpoint(session: Session, op: Op): CheckpointContext {
    const { options, record, checkpoints } = this.#context;
    return checkpointContextOf(this.sync(session, op), options, record.totals, (mode, result) =>
      checkpoints.tell({ mode, ...result }),
    );
  }
}
