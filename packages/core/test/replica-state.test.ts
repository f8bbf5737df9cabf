import { describe, expect, it } from 'vitest';
import { nextReplicaState, UNMET } from '../src/replica/position/replica-state.ts';
import type { ReplicaEvent, ReplicaState } from '../src/replica/position/replica-state.ts';

function after(...events: readonly ReplicaEvent[]): ReplicaState {
  return events.reduce(nextReplicaState, UNMET);
}

const met: readonly ReplicaEvent[] = [
  { kind: 'reopened', generation: 1 },
  { kind: 'met', remote: 4n },
  { kind: 'confirmed', txid: 4n },
];

describe('what is known of a replica', () => {
  it('confirms nothing when the database and the replica have met', () => {
    expect(after({ kind: 'reopened', generation: 1 }, { kind: 'met', remote: 4n })).toEqual({
      kind: 'met',
      generation: 1,
      remote: 4n,
      confirmed: 0n,
    });
  });

  it('forgets what was confirmed when the database is opened again', () => {
    expect(after(...met, { kind: 'reopened', generation: 2 })).toEqual({
      kind: 'unmet',
      generation: 2,
      remote: undefined,
    });
  });

  it('forgets what was confirmed, but not the database, when another process wrote to the replica', () => {
    expect(after(...met, { kind: 'forgotten' })).toEqual({ kind: 'unmet', generation: 1, remote: undefined });
  });

  it('asks the replica again after a failure, and keeps what was confirmed', () => {
    expect(after(...met, { kind: 'failed' })).toEqual({
      kind: 'met',
      generation: 1,
      remote: undefined,
      confirmed: 4n,
    });
  });

  it('keeps what was confirmed while the upload goes on', () => {
    expect(after(...met, { kind: 'reached', txid: 5n })).toMatchObject({ remote: 5n, confirmed: 4n });
  });

  it('confirms nothing before the two have met, and lets them meet once', () => {
    expect(() => after({ kind: 'confirmed', txid: 1n })).toThrow('confirmed while unmet');
    expect(() => after(...met, { kind: 'met', remote: 5n })).toThrow('met while met');
  });
});
