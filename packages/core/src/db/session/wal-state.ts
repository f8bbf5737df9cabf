/**
 * The position of replication in the WAL, and the proof of it. `docs/architecture/03-wal-state.md` has the table state ×
 * event, the invariants, and the test of each.
 *
 * Every state but `snapshot-required` carries its proof. What is not known leads to `snapshot-required`: the next
 * level-0 file then contains every page that differs from the page ledger of the files before it; or all pages, if
 * there is no such ledger.
 */
import type { WalSums } from '../../sqlite/wal/wal-header.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';

/** The generation of the WAL that follows that of the last file, proven to begin where the last file's generation ends. */
export interface Successor {
  readonly salt1: number;
  readonly salt2: number;
  /** Frames of the last file's own generation, behind the new ones, are not read yet. */
  readonly isTailUnread: boolean;
}

export type WalState =
  /**
   * Nothing is proven. `last` is the last file, if there is one: the next one follows it. `isWhole`: it contains every
   * page, even if it is known which pages differ from the state after the files up to `last`.
   */
  | {
      readonly kind: 'snapshot-required';
      readonly reason: string;
      readonly last: LastFile | undefined;
      readonly isWhole: boolean;
    }
  /** The WAL holds, unchanged, all frames up to the end of the last file. What follows may be unread. */
  | { readonly kind: 'resuming'; readonly last: LastFile; readonly sums: WalSums }
  /** The WAL restarted once while it was not held, and everything behind the last file is still in it. */
  | { readonly kind: 'succeeded'; readonly last: LastFile; readonly sums: WalSums; readonly successor: Successor }
  /** The database file alone holds the last file's transaction: every frame of the WAL is new. */
  | { readonly kind: 'at-rest'; readonly last: LastFile }
  /**
   * All visible frames were read at some time since the read transaction was taken, and it has been held since: the WAL
   * can restart only where we stopped. `isPinMoved`: the read transaction moved after that, and must not move again
   * before the WAL is read to its end. `isBound`: since it was taken, or moved, frames were seen that were not in the
   * database file. Then the WAL cannot restart at all: a read mark from 1 to 4 forbids that, and mark 0 forbids to move
   * those frames.
   */
  | {
      readonly kind: 'caught-up';
      readonly last: LastFile;
      readonly sums: WalSums;
      readonly isPinMoved: boolean;
      readonly isBound: boolean;
    }
  /** The same, and all frames are in the database file: the WAL may restart, and a checkpoint has nothing to do. */
  | { readonly kind: 'backfilled'; readonly last: LastFile; readonly sums: WalSums; readonly isPinMoved: boolean };

export type WalEvent =
  /**
   * A level-0 file was published. `isAtEnd`: nothing visible is left unread. `isUnmoved`: some visible frames were not in the
   * database file.
   */
  | {
      readonly kind: 'published';
      readonly last: LastFile;
      readonly sums: WalSums;
      readonly isAtEnd: boolean;
      readonly isUnmoved: boolean;
    }
  /** A part of the previous generation's tail was published. `isTailUnread`: there is more of it. */
  | { readonly kind: 'tail-published'; readonly last: LastFile; readonly sums: WalSums; readonly isTailUnread: boolean }
  /** The wal-index says that nothing is visible beyond the end of the last file. */
  | { readonly kind: 'nothing-new'; readonly isUnmoved: boolean }
  /**
   * The read transaction moved to the end of the WAL, the old one released after the new one was taken. `isOnFile`: it
   * reads the database file alone, which holds everything that was read.
   */
  | { readonly kind: 'pin-moved'; readonly isOnFile: boolean }
  /** The read transaction was released, or may have been. */
  | { readonly kind: 'pin-released' }
  /**
   * Behind the write barrier, after everything visible was read: all frames went to the database file, or some of them,
   * and the pin was taken before the barrier was released.
   */
  | { readonly kind: 'checkpointed'; readonly isComplete: boolean }
  /**
   * The proof of the state no longer holds. `isWhole`: the next file must not depend on the files up to the last one.
   */
  | { readonly kind: 'disproven'; readonly reason: string; readonly isWhole?: boolean };

/** The next state. Pure. Throws where an event cannot happen in a state: that is a fault of this program. */
export function transition(state: WalState, event: WalEvent): WalState {
  switch (event.kind) {
    case 'published':
      return event.isAtEnd
        ? caughtUp(event.last, event.sums, event.isUnmoved || isBound(state))
        : { kind: 'resuming', last: event.last, sums: event.sums };
    case 'tail-published': {
      const { last, sums, isTailUnread } = event;
      if (state.kind !== 'succeeded') throw impossible(state, event);
      return { ...state, last, sums, successor: { ...state.successor, isTailUnread } };
    }
    case 'nothing-new': {
      if (state.kind === 'snapshot-required') throw impossible(state, event);
      if (state.kind === 'at-rest') return state;
      if (state.kind === 'backfilled') return { ...state, isPinMoved: false };
      return caughtUp(state.last, state.sums, event.isUnmoved || isBound(state));
    }
    case 'pin-moved':
      if (!mayMovePin(state)) throw impossible(state, event);
      if (event.isOnFile) return { kind: 'backfilled', last: state.last, sums: state.sums, isPinMoved: true };
      return state.kind === 'backfilled'
        ? { ...state, isPinMoved: true }
        : { ...caughtUp(state.last, state.sums, false), isPinMoved: true };
    case 'pin-released':
      if (isHeld(state)) return { kind: 'resuming', last: state.last, sums: state.sums };
      if (state.kind !== 'at-rest') return state;
      return {
        kind: 'snapshot-required',
        reason: 'the read transaction of a database at rest was lost',
        last: state.last,
        isWhole: false,
      };
    case 'checkpointed': {
      if (state.kind !== 'resuming') throw impossible(state, event);
      const { last, sums } = state;
      return event.isComplete ? { kind: 'backfilled', last, sums, isPinMoved: false } : caughtUp(last, sums, false);
    }
    case 'disproven':
      break;
  }
  const isWhole = event.isWhole === true || (state.kind === 'snapshot-required' && state.isWhole);
  return { kind: 'snapshot-required', reason: event.reason, last: state.last, isWhole };
}

/** The WAL cannot restart before the read transaction moves or is released. */
export function isBound(state: WalState): boolean {
  return state.kind === 'caught-up' && state.isBound;
}

function caughtUp(last: LastFile, sums: WalSums, bound: boolean): Extract<WalState, { kind: 'caught-up' }> {
  return { kind: 'caught-up', last, sums, isPinMoved: false, isBound: bound };
}

/** States in which the WAL cannot restart unread. */
export function isHeld(state: WalState): state is Extract<WalState, { kind: 'caught-up' | 'backfilled' }> {
  return state.kind === 'caught-up' || state.kind === 'backfilled';
}

/** The pin may move once everything up to its position was read. */
export function mayMovePin(state: WalState): state is Extract<WalState, { kind: 'caught-up' | 'backfilled' }> {
  return isHeld(state) && !state.isPinMoved;
}

function impossible(state: WalState, event: WalEvent): Error {
  return new Error(`"${event.kind}" cannot happen in the state "${state.kind}"`);
}
