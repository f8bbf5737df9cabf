import type { Lease, LeaseRecord } from './record.ts';
import type { LeaseState } from './state.ts';

/** The state of a lease, for status pages and metrics. */
export interface LeaseStatus {
  /**
   * `waiting`: another process holds it. `held`. `lapsed`: not renewed in time, nothing is written. `lost`: another process has
   * it, or this one gave it up; ends with the process. `idle`: not requested yet. `released`.
   */
  readonly state: LeaseState['kind'];
  /** The name of this process in the lease. */
  readonly owner: string;
  /** The lease of this process, or of the one that it waits for. */
  readonly lease: Omit<LeaseRecord, 'session'> | undefined;
  readonly error: unknown;
}

export function leaseStatus(state: LeaseState, owner: string): LeaseStatus {
  const lease = leaseOf(state);
  return { state: state.kind, owner, lease, error: state.kind === 'lost' ? state.error : undefined };
}

function leaseOf(state: LeaseState): Lease | undefined {
  if (state.kind === 'waiting') return state.holder;
  return state.kind === 'held' || state.kind === 'lapsed' ? state.lease : undefined;
}
