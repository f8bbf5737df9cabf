/** Names of the objects of Litestream v0.3 under a replica's path. */
const SNAPSHOT = /^generations\/([0-9a-f]{16})\/snapshots\/([0-9a-f]{8})\.snapshot\.lz4$/;
const SEGMENT = /^generations\/([0-9a-f]{16})\/wal\/([0-9a-f]{8})_([0-9a-f]{8,16})\.wal\.lz4$/;

export const GENERATIONS_PREFIX = 'generations/';

/** Parses the key of a v0.3 object; undefined for other keys. Numbers in keys are hexadecimal. */
export function parseV3Key(key: string): V3Name | undefined {
  const snapshot = SNAPSHOT.exec(key);
  if (snapshot !== null)
    return { kind: 'snapshot', generation: snapshot[1] ?? '', index: number(snapshot[2]), offset: 0 };
  const segment = SEGMENT.exec(key);
  if (segment === null) return undefined;
  const [, generation = '', index, offset] = segment;
  return { kind: 'segment', generation, index: number(index), offset: number(offset) };
}

export interface V3Name {
  /** A whole database, or a segment of its WAL. */
  readonly kind: 'snapshot' | 'segment';
  /** Names one unbroken timeline. */
  readonly generation: string;
  /** Number of the WAL, which grows by one with each restart. A snapshot is the database before that WAL. */
  readonly index: number;
  /** Offset in that WAL, before compression, at which the segment starts. */
  readonly offset: number;
}

function number(hex: string | undefined): number {
  return Number.parseInt(hex ?? '0', 16);
}
