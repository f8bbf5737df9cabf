/** What a process knows of a replica: a state, and a pure function from state and event to the next state. */
import type { TXID } from '@litestream/ltx';

/**
 * `generation`: of the database (`ReplicaDb`) when it was last looked at; undefined before that. `remote`: where the replica
 * ends; undefined until it is asked, and after any failure.
 */
export type ReplicaState =
  /** Nothing shows that the local files continue what the replica holds. */
  | { readonly kind: 'unmet'; readonly generation: number | undefined; readonly remote: TXID | undefined }
  /** They do. `confirmed`: the last transaction that is known to be on the replica; 0 before the first. */
  | {
      readonly kind: 'met';
      readonly generation: number | undefined;
      readonly remote: TXID | undefined;
      readonly confirmed: TXID;
    };

export type ReplicaEvent =
  /** The database was opened, again or for the first time: it and the replica have to meet. */
  | { readonly kind: 'reopened'; readonly generation: number | undefined }
  /** What was known of the replica is not true any more. */
  | { readonly kind: 'forgotten' }
  /** The local files continue the replica, which ends at `remote`. */
  | { readonly kind: 'met'; readonly remote: TXID }
  /** The replica ends there. */
  | { readonly kind: 'reached'; readonly txid: TXID }
  | { readonly kind: 'confirmed'; readonly txid: TXID }
  /** Work on the replica failed, and may have written a file: the replica is asked again. */
  | { readonly kind: 'failed' };

export const UNMET: ReplicaState = { kind: 'unmet', generation: undefined, remote: undefined };

/** Throws for an event that cannot happen in this state. */
export function nextReplicaState(state: ReplicaState, event: ReplicaEvent): ReplicaState {
  switch (event.kind) {
    case 'reopened':
      return { kind: 'unmet', generation: event.generation, remote: undefined };
    case 'forgotten':
      return { kind: 'unmet', generation: state.generation, remote: undefined };
    case 'met':
      if (state.kind === 'met') throw impossible(state, event);
      return { kind: 'met', generation: state.generation, remote: event.remote, confirmed: 0n };
    case 'reached':
      return { ...state, remote: event.txid };
    case 'confirmed':
      if (state.kind !== 'met') throw impossible(state, event);
      return { ...state, confirmed: event.txid };
    case 'failed':
      break;
  }
  return { ...state, remote: undefined };
}

function impossible(state: ReplicaState, event: ReplicaEvent): Error {
  return new Error(`replica: ${event.kind} while ${state.kind}`);
}
