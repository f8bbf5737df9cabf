/** The table of states and events in `docs/architecture/08-lease.md`. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LitestreamError } from '../src/util/error.ts';
import type { Lease } from '../src/lease/record.ts';
import { nextLeaseState } from '../src/lease/state.ts';
import type { LeaseEvent, LeaseState } from '../src/lease/state.ts';

const lease: Lease = { generation: 1, expiresAt: new Date(0), owner: 'me', version: 'v1' };
const other: Lease = { ...lease, owner: 'other', version: 'v2' };
const sentAt = { monotonic: 0, now: 0 };
const error = new LitestreamError('lost', { code: 'LEASE_LOST' });

const states: readonly LeaseState[] = [
  { kind: 'idle' },
  { kind: 'waiting', holder: other },
  { kind: 'held', lease, sentAt },
  { kind: 'lapsed', lease },
  { kind: 'lost', error },
  { kind: 'released' },
];

const events: readonly LeaseEvent[] = [
  { kind: 'refused', holder: other },
  { kind: 'written', lease, sentAt },
  { kind: 'ended' },
  { kind: 'taken', error },
  { kind: 'released' },
];

function outcomeOf(state: LeaseState, event: LeaseEvent): string {
  try {
    return nextLeaseState(state, event).kind;
  } catch (caught) {
    expect(String(caught)).toContain(`${event.kind} while ${state.kind}`);
    return '—';
  }
}

/** The rows of the page: state, then the outcome of each event. */
function pageTable(): Map<string, string[]> {
  const page = readFileSync(new URL('../../../docs/architecture/08-lease.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  return new Map(
    rows.map((row) => {
      const cells = row.split('|').slice(1, -1);
      const [name = '', ...outcomes] = cells.map((cell) => cell.trim().replaceAll('`', ''));
      return [name, outcomes];
    }),
  );
}

describe('the table', () => {
  it.each(states.map((state) => [state.kind, state] as const))('%s', (name, state) => {
    expect(events.map((event) => outcomeOf(state, event))).toEqual(pageTable().get(name));
  });

  it('has no other rows and columns', () => {
    expect([...pageTable().keys()]).toEqual(states.map(({ kind }) => kind));
    const page = readFileSync(new URL('../../../docs/architecture/08-lease.md', import.meta.url), 'utf8');
    expect(page).toContain(`| state | ${events.map(({ kind }) => kind).join(' | ')} |`);
  });
});

describe('invariants', () => {
  it('no event leaves the state lost', () => {
    const lost: LeaseState = { kind: 'lost', error };
    for (const event of events) expect(nextLeaseState(lost, event)).toBe(lost);
  });

  it('only a lease that was written is held', () => {
    for (const state of states) {
      for (const event of events) {
        expect(outcomeOf(state, event) === 'held', `${event.kind} while ${state.kind}`).toBe(
          event.kind === 'written' && state.kind !== 'lost',
        );
      }
    }
  });
});
