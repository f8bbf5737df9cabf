import type { ObjectInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { hasCode } from '../../util/error.ts';
import { GENERATIONS_PREFIX, parseV3Key } from './names.ts';
import type { V3Name } from './names.ts';

/** One object of a v0.3 replica. Its time is that of its upload. */
export interface V3File extends V3Name {
  readonly object: ObjectInfo;
}

export interface V3Listing {
  /** By time, oldest first. */
  readonly snapshots: readonly V3File[];
  /** By generation, index and offset. */
  readonly segments: readonly V3File[];
  /** Time of the newest of them all. */
  readonly updatedAt: Date;
}

/** The v0.3 objects of a replica; undefined if there are none, and for backends without v0.3 replicas. */
export async function listV3(client: ReplicaClient, { signal }: Op): Promise<V3Listing | undefined> {
  const { objects } = client;
  if (objects === undefined) return undefined;
  const snapshots: V3File[] = [];
  const segments: V3File[] = [];
  try {
    for await (const object of objects.list(GENERATIONS_PREFIX, { signal })) {
      signal?.throwIfAborted();
      const name = parseV3Key(object.key);
      if (name !== undefined) (name.kind === 'snapshot' ? snapshots : segments).push({ ...name, object });
    }
  } catch (error) {
    if (hasCode(error, 'UNSUPPORTED')) return undefined;
    throw error;
  }
  const times = [...snapshots, ...segments].map(timeOf);
  if (times.length === 0) return undefined;
  snapshots.sort((a, b) => timeOf(a) - timeOf(b) || a.index - b.index);
  segments.sort((a, b) => compare(a.generation, b.generation) || a.index - b.index || a.offset - b.offset);
  return { snapshots, segments, updatedAt: new Date(times.reduce((max, time) => Math.max(max, time))) };
}

export function timeOf(file: V3File): number {
  return file.object.lastModified.getTime();
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
