/** Where Litestream v0.3 keeps things below a replica's path, and how it names them. */
const SNAPSHOT = /^generations\/([0-9a-f]{16})\/snapshots\/([0-9a-f]{8})\.snapshot\.lz4$/;
const SEGMENT = /^generations\/([0-9a-f]{16})\/wal\/([0-9a-f]{8})_([0-9a-f]{8,16})\.wal\.lz4$/;

export const GENERATIONS_PREFIX = 'generations/';

/** What the key of an object says, if it is one of v0.3's. Numbers are hexadecimal there. */
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
  /** A whole database, or a piece of its write-ahead log. */
  readonly kind: 'snapshot' | 'segment';
  /** Names one unbroken history. */
  readonly generation: string;
  /** Number of the write-ahead log, counted through its restarts. A snapshot is the database before that log. */
  readonly index: number;
  /** Byte of that log, before compression, at which the piece starts. */
  readonly offset: number;
}

function number(hex: string | undefined): number {
  return Number.parseInt(hex ?? '0', 16);
}
