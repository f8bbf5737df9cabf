import { describe, expect, it } from 'vitest';
import type { WalView } from '../src/db/session/next-sync.ts';
import { nextSync } from '../src/db/session/next-sync.ts';
import type { WalState } from '../src/db/session/wal-state.ts';

const PAGE_SIZE = 4096;
/** Offset after the frame of this number. */
const after = (frames: number): number => 32 + frames * (24 + PAGE_SIZE);
const sums = { s0: 11, s1: 12 };
const header = { bigEndian: false, pageSize: PAGE_SIZE, checkpointSequence: 0, salt1: 7, salt2: 8, s0: 1, s1: 2 };
const visible = {
  pageSize: PAGE_SIZE,
  frameCount: 2,
  pageCount: 9,
  sums: { s0: 21, s1: 22 },
  salt1: 7,
  salt2: 8,
  backfilled: 0,
  backfillAttempted: 0,
};
const view: WalView = { visible, header, pageSize: PAGE_SIZE, hasStaleFrames: false };
const last = {
  txid: 3n,
  commit: 9,
  pageSize: PAGE_SIZE,
  timestampMs: 0,
  salt1: 7,
  salt2: 8,
  endOffset: after(1),
  databaseChecksum: 0n,
};

const states = {
  resuming: { kind: 'resuming', last, sums },
  held: { kind: 'caught-up', last, sums, isPinMoved: false, isBound: false },
  backfilled: { kind: 'backfilled', last, sums, isPinMoved: false },
  rest: { kind: 'at-rest', last },
  succeeded: { kind: 'succeeded', last, sums, successor: { salt1: 8, salt2: 99, isTailUnread: false } },
  tail: { kind: 'succeeded', last, sums, successor: { salt1: 8, salt2: 99, isTailUnread: true } },
  required: { kind: 'snapshot-required', reason: 'because', last, isWhole: false },
} as const satisfies Record<string, WalState>;

/** The next generation, with one frame. */
const next: WalView = {
  ...view,
  header: { ...header, salt1: 8, salt2: 99 },
  visible: { ...visible, salt1: 8, salt2: 99, frameCount: 1 },
};
const emptied: WalView = { ...next, header, visible: { ...next.visible, frameCount: 0 } };
const fromStart = { kind: 'increment', offset: 32, sums: { s0: 1, s1: 2 }, isTail: false };
const onwards = { kind: 'increment', offset: after(1), sums, isTail: false };
const snapshot = { kind: 'snapshot' };
const nothing = { kind: 'nothing' };
const ends = (frameCount: number, at = sums): WalView => ({ ...view, visible: { ...visible, frameCount, sums: at } });
const farther = { ...next, header: { ...header, salt1: 12 }, visible: { ...next.visible, salt1: 12, salt2: 8 } };

describe('increment, nothing or snapshot', () => {
  it.each<[string, WalState, WalView, object]>([
    ['more is visible of the same generation', states.resuming, view, onwards],
    ['more is visible, held', states.held, view, onwards],
    ['more is visible, behind a checkpoint', states.backfilled, view, onwards],
    ['the same end with the same checksum', states.resuming, ends(1), nothing],
    ['the same end with the same checksum, held', states.held, ends(1), nothing],
    ['the same end with another checksum', states.held, ends(1, { s0: 11, s1: 13 }), snapshot],
    ['the same end with another checksum, on start', states.resuming, ends(1, { s0: 12, s1: 12 }), snapshot],
    ['less is visible than was read', states.held, ends(0), snapshot],
    ['less is visible than was read, on start', states.resuming, ends(0), snapshot],
    ['a restart where we stopped', states.held, next, fromStart],
    ['a restart where we stopped, with old frames behind', states.held, { ...next, hasStaleFrames: true }, fromStart],
    ['a restart that left the WAL empty', states.backfilled, emptied, nothing],
    ['several restarts of an empty WAL', states.held, farther, fromStart],
    ['several restarts that left old frames', states.held, { ...farther, hasStaleFrames: true }, snapshot],
    ['a restart while the WAL was not held', states.resuming, next, snapshot],
    ['a restart that left the WAL empty while it was not held', states.resuming, emptied, snapshot],
    ['the proven successor', states.succeeded, next, fromStart],
    ['what the proven successor left of the generation before', states.tail, next, { ...onwards, isTail: true }],
    ['a successor of the successor', states.succeeded, farther, snapshot],
    ['a database at rest, nothing written', states.rest, emptied, nothing],
    ['a database at rest, written to since', states.rest, next, fromStart],
    ['another page size', states.held, { ...view, pageSize: 8192 }, { kind: 'snapshot', reason: 'page size changed' }],
    ['nothing proven', states.required, view, { kind: 'snapshot', reason: 'because' }],
    [
      'a WAL header of another generation',
      states.held,
      { ...view, header: { ...header, salt2: 9 } },
      { kind: 'unsettled' },
    ],
    ['no WAL header beside visible frames', states.held, { ...view, header: undefined }, { kind: 'unsettled' }],
  ])('%s', (_what, state, seen, expected) => {
    expect(nextSync(state, seen)).toMatchObject(expected);
  });

  it('goes over the greatest salt', () => {
    const state: WalState = { ...states.held, last: { ...last, salt1: 2 ** 32 - 1 } };
    const wrapped = { ...next, header: { ...header, salt1: 0 }, visible: { ...next.visible, salt1: 0, salt2: 8 } };
    expect(nextSync(state, { ...wrapped, hasStaleFrames: true })).toMatchObject(fromStart);
  });
});
