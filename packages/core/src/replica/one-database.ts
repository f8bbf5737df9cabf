import type { Op } from '../client/contract.ts';
import type { ReplicaDb } from './replica-db.ts';

/** Begins again if the database is opened anew on the way: what went wrong then says nothing of the new one. */
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
