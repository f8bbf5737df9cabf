/** The table state × event of `docs/architecture/03-wal-state.md`. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { WalEvent, WalState } from '../src/db/session/wal-state.ts';
import { isBound, transition } from '../src/db/session/wal-state.ts';

const sums = { s0: 1, s1: 2 };
const last = {
  txid: 3n,
  commit: 9,
  pageSize: 4096,
  timestampMs: 0,
  salt1: 7,
  salt2: 8,
  endOffset: 4152,
  databaseChecksum: 0n,
};
const next = { ...last, txid: 4n, endOffset: 8272 };
const nextSums = { s0: 3, s1: 4 };

const states: readonly (readonly [string, WalState])[] = [
  ['snapshot-required', { kind: 'snapshot-required', reason: 'r', last, isWhole: false }],
  ['resuming', { kind: 'resuming', last, sums }],
  ['succeeded', { kind: 'succeeded', last, sums, successor: { salt1: 8, salt2: 9, isTailUnread: true } }],
  ['at-rest', { kind: 'at-rest', last }],
  ['caught-up', { kind: 'caught-up', last, sums, isPinMoved: false, isBound: false }],
  ['caught-up, pin moved', { kind: 'caught-up', last, sums, isPinMoved: true, isBound: false }],
  ['backfilled', { kind: 'backfilled', last, sums, isPinMoved: false }],
  ['backfilled, pin moved', { kind: 'backfilled', last, sums, isPinMoved: true }],
];

const events: readonly (readonly [string, WalEvent])[] = [
  ['published to the end', { kind: 'published', last: next, sums: nextSums, isAtEnd: true, isUnmoved: false }],
  ['published in part', { kind: 'published', last: next, sums: nextSums, isAtEnd: false, isUnmoved: false }],
  ['tail-published', { kind: 'tail-published', last: next, sums: nextSums, isTailUnread: false }],
  ['nothing-new', { kind: 'nothing-new', isUnmoved: false }],
  ['pin-moved', { kind: 'pin-moved', isOnFile: false }],
  ['pin-moved to the file', { kind: 'pin-moved', isOnFile: true }],
  ['pin-released', { kind: 'pin-released' }],
  ['checkpointed, complete', { kind: 'checkpointed', isComplete: true }],
  ['checkpointed, in part', { kind: 'checkpointed', isComplete: false }],
  ['disproven', { kind: 'disproven', reason: 'because' }],
];

function nameOf(state: WalState): string {
  return 'isPinMoved' in state && state.isPinMoved ? `${state.kind}, pin moved` : state.kind;
}

function outcomeOf(state: WalState, event: WalEvent): string {
  try {
    return nameOf(transition(state, event));
  } catch (error) {
    expect(String(error)).toContain('cannot happen');
    return '—';
  }
}

/** The rows of the page: state, then the outcome of each event. */
function pageTable(): Map<string, string[]> {
  const page = readFileSync(new URL('../../../docs/architecture/03-wal-state.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  return new Map(
    rows.map((row) => {
      const [name = '', ...cells] = row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', ''));
      return [name, cells];
    }),
  );
}

describe('the table', () => {
  it.each(states)('%s', (name, state) => {
    expect(events.map(([, event]) => outcomeOf(state, event))).toEqual(pageTable().get(name));
  });

  it('has no other rows', () => {
    expect([...pageTable().keys()]).toEqual(states.map(([name]) => name));
  });
});

describe('invariants', () => {
  it('no event but a published file changes the place in the WAL', () => {
    for (const [, state] of states) {
      for (const [name, event] of events) {
        if (name.includes('published') || outcomeOf(state, event) === '—') continue;
        expect(transition(state, event).last, name).toBe(state.last);
      }
    }
  });

  it('a state that holds the WAL is reached only from the end of it, or from behind the write barrier', () => {
    for (const [from, state] of states) {
      for (const [name, event] of events) {
        if (outcomeOf(state, event) === '—') continue;
        const { kind } = transition(state, event);
        if (kind !== 'caught-up' && kind !== 'backfilled') continue;
        const isProof = ['published to the end', 'nothing-new', 'checkpointed, complete', 'checkpointed, in part'];
        expect(
          isProof.includes(name) || (name.startsWith('pin-moved') && !from.includes('moved')),
          `${from} ${name}`,
        ).toBe(true);
      }
    }
  });

  it('the WAL is bound from a look that saw unmoved frames until the pin moves or is released', () => {
    const published: WalEvent = { kind: 'published', last: next, sums: nextSums, isAtEnd: true, isUnmoved: true };
    for (const [name, state] of states) {
      expect(isBound(transition(state, published)), name).toBe(true);
    }
    const bound = transition({ kind: 'resuming', last, sums }, { kind: 'nothing-new', isUnmoved: true });
    const outcomes = events
      .filter(([, event]) => outcomeOf(bound, event) !== '—')
      .map(([name, event]) => [name, isBound(transition(bound, event))]);
    expect(Object.fromEntries(outcomes)).toEqual({
      'published to the end': true,
      'published in part': false,
      'nothing-new': true,
      'pin-moved': false,
      'pin-moved to the file': false,
      'pin-released': false,
      disproven: false,
    });
  });

  it('what is disproven ends in a snapshot, whatever was known', () => {
    for (const [, state] of states) {
      expect(transition(state, { kind: 'disproven', reason: 'because' })).toEqual({
        kind: 'snapshot-required',
        reason: 'because',
        last,
        isWhole: false,
      });
    }
  });

  it('a file that needs every page still needs it until it is published, whatever is disproven meanwhile', () => {
    for (const [, state] of states) {
      const whole = transition(state, { kind: 'disproven', reason: 'first', isWhole: true });
      expect(transition(whole, { kind: 'disproven', reason: 'second' })).toMatchObject({ isWhole: true });
    }
  });
});
