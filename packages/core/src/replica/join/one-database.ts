import type { Op } from '../../storage/contract/contract.ts';
import type { ReplicaDb } from '../position/replica-db.ts';

/** Repeats the work if the database is reopened meanwhile: an earlier error says nothing about the new one. */
export async function asOneDatabase<T>(db: ReplicaDb, work: () => Promise<T>, { signal }: Op): Promise<T> {
  for (;;) {
    const { generation } = db;
    try {
      return await work();
    } catch (error) {
      if (db.generation === generation) throw error;
      signal?.throwIfAborted();
    }
  }
}
