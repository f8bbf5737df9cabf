/** What a follower knows of the content of its copy: a state, and a pure function from state and event to the next state. */

export type CopyState =
  /** The copy holds the transaction of its position for as long as its index counts as many changes as this. */
  | { readonly kind: 'current'; readonly changeCount: number }
  /** The files beside the copy say what it holds. */
  | { readonly kind: 'uncertain' }
  /**
   * Only a comparison of the whole database brings the copy further; why. `changeCount`: as for `current`, where no other program
   * wrote to the copy.
   */
  | { readonly kind: 'diverged'; readonly reason: string; readonly changeCount: number | undefined };

export type CopyEvent =
  /** The index of the copy counts other changes than those of this follower. */
  | { readonly kind: 'foreign-write' }
  /** No file continues the copy. The first reason stays. */
  | { readonly kind: 'diverged'; readonly reason: string }
  /** Files are about to be applied, and may or may not be. */
  | { readonly kind: 'applying' }
  /** They were not: the copy is as it was. */
  | { readonly kind: 'not-applied'; readonly before: CopyState }
  /** They were. */
  | { readonly kind: 'applied' }
  /** With this count the copy holds the transaction of its position. */
  | { readonly kind: 'counted'; readonly changeCount: number };

/** Throws for an event that cannot happen in this state. */
export function nextCopyState(state: CopyState, event: CopyEvent): CopyState {
  switch (event.kind) {
    case 'foreign-write':
      return { kind: 'diverged', reason: 'another program wrote to the copy', changeCount: undefined };
    case 'diverged':
      return state.kind === 'diverged'
        ? state
        : { kind: 'diverged', reason: event.reason, changeCount: changeCountOf(state) };
    case 'applying':
      return state.kind === 'diverged' ? { ...state, changeCount: undefined } : { kind: 'uncertain' };
    case 'not-applied': {
      const changeCount = changeCountOf(event.before);
      if (state.kind === 'diverged') return { ...state, changeCount };
      return changeCount === undefined ? { kind: 'uncertain' } : { kind: 'current', changeCount };
    }
    case 'applied':
      return { kind: 'uncertain' };
    case 'counted':
      break;
  }
  if (state.kind === 'diverged') throw new Error(`copy: ${event.kind} while ${state.kind}`);
  return { kind: 'current', changeCount: event.changeCount };
}

/** How many changes the index of the copy counts if no other program wrote to it; undefined if that is not known. */
export function changeCountOf(state: CopyState): number | undefined {
  return state.kind === 'uncertain' ? undefined : state.changeCount;
}
