import { describe, expect, it } from 'vitest';
import { changeCountOf, nextCopyState } from '../src/follower/copy-state.ts';
import type { CopyEvent, CopyState } from '../src/follower/copy-state.ts';

const current: CopyState = { kind: 'current', changeCount: 7 };
const uncertain: CopyState = { kind: 'uncertain' };
const diverged: CopyState = { kind: 'diverged', reason: 'damaged', changeCount: 7 };
const states = [current, uncertain, diverged];

function after(state: CopyState, ...events: readonly CopyEvent[]): CopyState {
  return events.reduce(nextCopyState, state);
}

describe('what a follower knows of its copy', () => {
  it.each(states)('is not certain of its content while files are applied ($kind)', (state) => {
    expect(changeCountOf(after(state, { kind: 'applying' }))).toBeUndefined();
  });

  it.each(states)('is as certain as before when files were not applied ($kind)', (state) => {
    expect(after(state, { kind: 'applying' }, { kind: 'not-applied', before: state })).toEqual(state);
  });

  it('keeps the reason why files were refused', () => {
    const events: readonly CopyEvent[] = [
      { kind: 'applying' },
      { kind: 'diverged', reason: 'other database' },
      { kind: 'not-applied', before: current },
    ];
    expect(after(current, ...events)).toEqual({ kind: 'diverged', reason: 'other database', changeCount: 7 });
  });

  it('keeps the first reason for a comparison of the whole database', () => {
    expect(after(diverged, { kind: 'diverged', reason: 'later' })).toEqual(diverged);
  });

  it.each(states)('compares the whole database after a write of another program ($kind)', (state) => {
    expect(after(state, { kind: 'foreign-write' })).toEqual({
      kind: 'diverged',
      reason: 'another program wrote to the copy',
      changeCount: undefined,
    });
  });

  it.each(states)('is current once files were applied and the changes are counted ($kind)', (state) => {
    const events: readonly CopyEvent[] = [
      { kind: 'applying' },
      { kind: 'applied' },
      { kind: 'counted', changeCount: 8 },
    ];
    expect(after(state, ...events)).toEqual({ kind: 'current', changeCount: 8 });
  });

  it('does not take a copy for current that has diverged', () => {
    expect(() => after(diverged, { kind: 'counted', changeCount: 8 })).toThrow('counted while diverged');
  });
});
