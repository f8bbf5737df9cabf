/** What is known of the file at the path of a database: a state, and a pure function from state and event to the next state. */
import type { DatabaseInUseError } from './metadata/metadata-lock-errors.ts';
import type { Session } from './session/session.ts';

export type FileState =
  /** There is no file, or none that may be opened yet, or none was looked for. */
  | { readonly kind: 'waiting' }
  /** Another Litestream replicates the database, and this one stands by. */
  | { readonly kind: 'standby'; readonly error: DatabaseInUseError }
  | { readonly kind: 'open'; readonly session: Session };

export type FileEvent =
  | { readonly kind: 'opened'; readonly session: Session }
  /** No file may be opened, or opening it failed for another reason than `in-use`. */
  | { readonly kind: 'not-opened' }
  | { readonly kind: 'in-use'; readonly error: DatabaseInUseError }
  /** This session is being closed. It need not be the last one that was opened. */
  | { readonly kind: 'closing'; readonly session: Session };

/** Throws for an event that cannot happen in this state. */
export function nextFileState(state: FileState, event: FileEvent): FileState {
  if (event.kind === 'closing') {
    return state.kind === 'open' && state.session === event.session ? { kind: 'waiting' } : state;
  }
  // The session of an earlier file is closed before another one is opened.
  if (state.kind === 'open') throw new Error(`database file: ${event.kind} while ${state.kind}`);
  switch (event.kind) {
    case 'opened':
      return { kind: 'open', session: event.session };
    case 'in-use':
      return { kind: 'standby', error: event.error };
    case 'not-opened':
      break;
  }
  return { kind: 'waiting' };
}
