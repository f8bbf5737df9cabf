import { expect, test } from 'vitest';
import type { ReplicaUnderStore } from '../src/maintenance/stored-replica-options.ts';
import { Replica } from '../src/replica/replica.ts';

test('a replica has everything that the store asks of one, under the same names', () => {
  // Most of it is optional, so that the compiler accepts a replica without it.
  const parts: Readonly<Record<Exclude<keyof ReplicaUnderStore, 'client'>, true>> = {
    position: true,
    isDown: true,
    isKnown: true,
    snapshotOwedFor: true,
    takeTops: true,
    recoverCut: true,
    requireAlone: true,
    isGapReported: true,
    snapshot: true,
  };
  expect(Object.getOwnPropertyNames(Replica.prototype)).toEqual(expect.arrayContaining(Object.keys(parts)));
});
