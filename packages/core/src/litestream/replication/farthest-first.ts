import { maxTxidsOfReplica } from '../../replica/position/remote-position.ts';
import type { Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { LitestreamError } from '../../util/error.ts';

/**
 * Sorts the replicas by their last TXID, the highest first: restore from that one. Rejects with `UNAVAILABLE` and this hint if a
 * replica does not answer: a replica that lags behind another would bring back an old state, and begin a second timeline. Does not ask
 * a single replica.
 */
export async function farthestFirst<T extends { readonly client: ReplicaClient; readonly name: string }>(
  replicas: readonly T[],
  { hint, ...op }: Op & { readonly hint: string },
): Promise<readonly T[]> {
  if (replicas.length < 2) return replicas;
  const ends = await Promise.all(
    replicas.map(async (replica) => {
      try {
        const { max } = await maxTxidsOfReplica(replica.client, op);
        return { replica, end: max };
      } catch (cause) {
        throw new LitestreamError(`cannot read the last TXID of replica ${replica.name}`, {
          code: 'UNAVAILABLE',
          hint,
          cause,
        });
      }
    }),
  );
  return ends.sort((a, b) => Number(b.end - a.end)).map(({ replica }) => replica);
}
