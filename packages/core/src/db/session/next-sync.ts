import type { VisibleWal } from '../../sqlite/wal/wal-index.ts';
import type { WalHeader, WalSums } from '../../sqlite/wal/wal-header.ts';
import { WAL_HEADER_SIZE, sameSalts, walSizeOf } from '../../sqlite/wal/wal-header.ts';
import { sameSums } from '../../sqlite/wal/wal-end.ts';
import type { WalState } from './wal-state.ts';

/** The state of the WAL at one look. */
export interface WalView {
  /** What the wal-index says that readers see. */
  readonly visible: VisibleWal;
  /** Header of the WAL file; undefined while it is empty, or written only in part. */
  readonly header: WalHeader | undefined;
  /** Page size of the database as SQLite reports it. */
  readonly pageSize: number;
  /** Is the frame that the last file ended with still in the WAL file, behind those of another generation? */
  readonly hasStaleFrames: boolean;
}

export type SyncDecision =
  /** The wal-index ends exactly where the last file does, with the same running checksum, or a restart left it empty. */
  | { readonly kind: 'nothing' }
  /** Read the frames from `offset` to what is visible. `isTail`: those of the generation before, behind the new ones. */
  | { readonly kind: 'increment'; readonly offset: number; readonly sums: WalSums; readonly isTail: boolean }
  /** Take every page. */
  | { readonly kind: 'snapshot'; readonly reason: string }
  /** The WAL is being restarted: the wal-index and the WAL header are of different generations. Look again. */
  | { readonly kind: 'unsettled' };

/** Offset in the WAL after the last visible frame. */
export function visibleEndOf({ frameCount, pageSize }: VisibleWal): number {
  return frameCount === 0 ? WAL_HEADER_SIZE : walSizeOf(pageSize, frameCount);
}

/** The only place that decides whether the WAL continues the last level-0 file. Pure. */
export function nextSync(state: WalState, view: WalView): SyncDecision {
  if (state.kind === 'snapshot-required') return snapshot(state.reason);
  const { last } = state;
  const { visible, header, pageSize } = view;
  if (last.pageSize !== pageSize) return snapshot('page size changed');
  if (visible.frameCount > 0) {
    if (visible.pageSize !== pageSize) return snapshot('page size changed');
    if (header === undefined || !sameSalts(header, visible)) return { kind: 'unsettled' };
  }
  if (state.kind === 'at-rest') return fromStart(view);
  if (state.kind === 'succeeded') {
    const { successor } = state;
    if (!sameSalts(successor, visible)) return snapshot('wal restarted while it was not held, snapshotting');
    if (!successor.isTailUnread) return fromStart(view);
    return { kind: 'increment', offset: last.endOffset, sums: state.sums, isTail: true };
  }
  if (sameSalts(last, visible)) return behindLast(state, visible);
  if (state.kind === 'resuming') return snapshot('wal header salt reset, snapshotting');
  // Each restart adds one. TRUNCATE checkpoints of an idle database restart it more than once without a frame between,
  // and leave no old frames; in every other case the read transaction was not held.
  if (visible.salt1 === (last.salt1 + 1) >>> 0 || !view.hasStaleFrames) return fromStart(view);
  return snapshot('wal restarted more than once, snapshotting');
}

/** In the generation of the last file. */
function behindLast(state: Extract<WalState, { sums: WalSums }>, visible: VisibleWal): SyncDecision {
  const { last, sums } = state;
  const end = visibleEndOf(visible);
  if (end < last.endOffset) return snapshot('wal truncated by another process');
  if (end > last.endOffset) return { kind: 'increment', offset: last.endOffset, sums, isTail: false };
  if (end === WAL_HEADER_SIZE || sameSums(sums, visible.sums)) return { kind: 'nothing' };
  return snapshot('last page does not exist in last ltx file, wal overwritten by another process');
}

/** Every frame of the current generation is new. */
function fromStart({ visible, header }: WalView): SyncDecision {
  if (visible.frameCount === 0 || header === undefined) return { kind: 'nothing' };
  return { kind: 'increment', offset: WAL_HEADER_SIZE, sums: { s0: header.s0, s1: header.s1 }, isTail: false };
}

function snapshot(reason: string): SyncDecision {
  return { kind: 'snapshot', reason };
}
