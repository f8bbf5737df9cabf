import { describe, expect, it } from 'vitest';
import type { SyncState } from '../src/db/decide.ts';
import { decide } from '../src/db/decide.ts';

const wal = { bigEndian: false, pageSize: 4096, checkpointSequence: 0, salt1: 7, salt2: 8, s0: 1, s1: 2 };
const last = { endOffset: 4152, salt1: 7, salt2: 8, pageSize: 4096 };
const sums = { s0: 11, s1: 12 };
const base: SyncState = {
  last,
  snapshotDue: undefined,
  wal,
  walFileSize: 10_000,
  pageSize: 4096,
  endSums: sums,
  caughtUp: false,
  lastIsCounted: true,
  successor: undefined,
  staleFrames: false,
};
const next = { ...wal, salt1: 8, salt2: 99 };

describe('increment or snapshot', () => {
  it.each<[string, Partial<SyncState>, object]>([
    ['the same log, its end proven', {}, { kind: 'increment', offset: 4152, sums }],
    [
      'the same log, nothing of it taken yet',
      { last: { ...last, endOffset: 32 }, endSums: undefined },
      { kind: 'increment', offset: 32, sums: { s0: 1, s1: 2 } },
    ],
    ['a restart right where we stopped', { wal: next, caughtUp: true, staleFrames: true }, { offset: 32 }],
    [
      'salts that wrap around',
      { wal: { ...next, salt1: 0 }, last: { ...last, salt1: 2 ** 32 - 1 }, caughtUp: true, staleFrames: true },
      { offset: 32 },
    ],
    [
      'several restarts of an empty log',
      { wal: { ...next, salt1: 12 }, caughtUp: true },
      { kind: 'increment', offset: 32 },
    ],
    [
      'the proven successor',
      { wal: next, successor: { salt1: 8, salt2: 99, endSums: sums, tailUnread: false } },
      { kind: 'increment', offset: 32, ofPreviousGeneration: false },
    ],
    [
      'what the proven successor left of the log before it',
      { wal: next, successor: { salt1: 8, salt2: 99, endSums: sums, tailUnread: true } },
      { kind: 'increment', offset: 4152, sums, ofPreviousGeneration: true },
    ],
    ['no file yet', { last: undefined }, { kind: 'snapshot', reason: 'first sync' }],
    ['a missing baseline', { snapshotDue: 'because' }, { kind: 'snapshot', reason: 'because' }],
    ['another page size', { pageSize: 8192 }, { kind: 'snapshot', reason: 'page size changed' }],
    ['a log shorter than what was read', { walFileSize: 100 }, { kind: 'snapshot' }],
    ['the same salts, but another frame at the end', { endSums: undefined }, { kind: 'snapshot' }],
    [
      'a restart behind a commit that may not count',
      { wal: next, caughtUp: true, staleFrames: true, lastIsCounted: false },
      { kind: 'snapshot' },
    ],
    ['a restart that nobody watched', { wal: next, staleFrames: true }, { kind: 'snapshot' }],
    [
      'a successor of the successor',
      { wal: { ...next, salt1: 9 }, successor: { salt1: 8, salt2: 99, endSums: sums, tailUnread: false } },
      { kind: 'snapshot' },
    ],
    [
      'several restarts that left old frames',
      { wal: { ...next, salt1: 12 }, caughtUp: true, staleFrames: true },
      { kind: 'snapshot' },
    ],
  ])('%s', (_what, change, expected) => {
    expect(decide({ ...base, ...change })).toMatchObject(expected);
  });
});
