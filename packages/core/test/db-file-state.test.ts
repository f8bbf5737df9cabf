import { describe, expect, it } from 'vitest';
import { nextFileState } from '../src/db/file-state.ts';
import type { FileEvent, FileState } from '../src/db/file-state.ts';
import type { DatabaseInUseError } from '../src/db/metadata/metadata-lock-errors.ts';
import type { Session } from '../src/db/session/session.ts';

// The function compares sessions and looks into nothing.
const session = { path: 'a' } as unknown as Session;
const earlier = { path: 'b' } as unknown as Session;
const error = new Error('in use') as unknown as DatabaseInUseError;

const waiting: FileState = { kind: 'waiting' };
const standby: FileState = { kind: 'standby', error };
const open: FileState = { kind: 'open', session };
const opening: readonly FileEvent[] = [{ kind: 'opened', session }, { kind: 'not-opened' }, { kind: 'in-use', error }];

describe('the file at the path of a database', () => {
  it.each([waiting, standby])('is opened, waits, or belongs to another Litestream ($kind)', (state) => {
    expect(opening.map((event) => nextFileState(state, event))).toEqual([open, waiting, standby]);
  });

  it.each(opening)('is closed before another one is opened ($kind)', (event) => {
    expect(() => nextFileState(open, event)).toThrow(`${event.kind} while open`);
  });

  it('waits once its session is closing', () => {
    expect(nextFileState(open, { kind: 'closing', session })).toEqual(waiting);
  });

  it.each([waiting, standby, open])('stays as it is when an earlier session is closing ($kind)', (state) => {
    expect(nextFileState(state, { kind: 'closing', session: earlier })).toBe(state);
  });
});
