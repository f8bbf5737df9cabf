/** What a process knows of its lease: a state, and a pure function from state and event to the next state. */
import type { LitestreamError } from '../util/error.ts';
import type { Instant } from '../replica/position/instant.ts';
import type { Lease } from './record.ts';

export type LeaseState =
  /** This process has not requested the lease. */
  | { readonly kind: 'idle' }
  /** Another process holds it. */
  | { readonly kind: 'waiting'; readonly holder: Lease | undefined }
  /** This process holds it. Its term begins at `sentAt`, before the request that wrote it. */
  | { readonly kind: 'held'; readonly lease: Lease; readonly sentAt: Instant }
  /** It was not renewed in time. No other process is known to have it. */
  | { readonly kind: 'lapsed'; readonly lease: Lease }
  /** Another process has it, or this one released it permanently. */
  | { readonly kind: 'lost'; readonly error: LitestreamError }
  | { readonly kind: 'released' };

export type LeaseEvent =
  /** This process requested it, and another process holds it. */
  | { readonly kind: 'refused'; readonly holder: Lease | undefined }
  /** This process wrote it, with a request that was sent at `sentAt` or later. */
  | { readonly kind: 'written'; readonly lease: Lease; readonly sentAt: Instant }
  /** Its term has nearly ended. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'taken'; readonly error: LitestreamError }
  | { readonly kind: 'released' };

/** Throws for an event that cannot happen in this state. */
export function nextLeaseState(state: LeaseState, event: LeaseEvent): LeaseState {
  // An event that arrives late does not restore a lost lease.
  if (state.kind === 'lost') return state;
  switch (event.kind) {
    case 'refused':
      if (state.kind === 'held' || state.kind === 'lapsed') throw impossible(state, event);
      return { kind: 'waiting', holder: event.holder };
    case 'written':
      return { kind: 'held', lease: event.lease, sentAt: event.sentAt };
    case 'ended':
      if (state.kind === 'held') return { kind: 'lapsed', lease: state.lease };
      if (state.kind === 'lapsed') return state;
      throw impossible(state, event);
    case 'taken':
      if (state.kind === 'held' || state.kind === 'lapsed') return { kind: 'lost', error: event.error };
      throw impossible(state, event);
    case 'released':
      break;
  }
  return { kind: 'released' };
}

function impossible(state: LeaseState, event: LeaseEvent): Error {
  return new Error(`lease: ${event.kind} while ${state.kind}`);
}
