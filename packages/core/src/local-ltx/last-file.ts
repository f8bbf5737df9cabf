import { endOffsetOf } from '../sqlite/wal/wal-end.ts';
import type { LtxHeader, TXID } from '@litestream/ltx';

/** The last level-0 file: where the next one begins. */
export interface LastFile {
  readonly txid: TXID;
  readonly commit: number;
  readonly pageSize: number;
  readonly timestampMs: number;
  readonly salt1: number;
  readonly salt2: number;
  /** Offset in the WAL after its last frame. */
  readonly endOffset: number;
  /** Checksum of the database after the file; 0 if the file states none. */
  readonly databaseChecksum: bigint;
}

export function lastFileOf(header: LtxHeader): LastFile {
  return {
    txid: header.maxTxid,
    commit: header.commit,
    pageSize: header.pageSize,
    timestampMs: header.timestampMs,
    salt1: header.salt1,
    salt2: header.salt2,
    endOffset: endOffsetOf(header),
    databaseChecksum: header.extension?.databaseChecksum ?? 0n,
  };
}
